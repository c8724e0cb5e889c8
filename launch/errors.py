"""How a command fails: one sentence for the person who typed it, and what to type next."""


class LaunchError(Exception):
    """A command cannot go on. `sentence` says what is wrong and where; `next_command` what would help, if anything."""

    def __init__(self, sentence: str, next_command: str = "") -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.next_command = next_command


def in_one_sentence(error: BaseException) -> str:
    """What a person should read of an error: its own words where the house (or the system) wrote them for people,
    otherwise that whowhere itself is at fault, and where."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    if type(error).__module__.startswith(__name__.split(".")[0] + ".") and str(error):
        return " ".join(str(error).split())
    trace = error.__traceback__
    while trace and trace.tb_next:
        trace = trace.tb_next
    where = f" at {trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}" if trace else ""
    return f"a fault in whowhere itself{where}: {type(error).__name__}: {' '.join(str(error).split())}"
