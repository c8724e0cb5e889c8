"""The command line of a simulated IWR6843 out-of-box demo: text in, echo and answers out (protocols A2).

It behaves as far as a host can tell: echo, `Done`, errors, the prompt without a newline, the order it insists on, and
the hang after a late change. It checks no value but the frame period, which sets how often frames are sent.
"""

PROMPT = "mmwDemo:/>"
BANNER = (
    "\r\n******************************************\r\n"
    "xWR64xx MMW Demo, simulated by whowhere\r\n"
    "******************************************\r\n"
)
NEEDED = ("dfeDataOutputMode", "channelCfg", "adcCfg", "adcbufCfg", "profileCfg", "chirpCfg", "frameCfg")
FIXED_AFTER_START = ("channelCfg", "lowPower", "adcCfg")
KNOWN = frozenset(
    (
        *NEEDED,
        *("lowPower", "guiMonitor", "cfarCfg", "multiObjBeamForming", "clutterRemoval", "calibDcRangeSig"),
        *("extendedMaxVelocity", "bpmCfg", "lvdsStreamCfg", "compRangeBiasAndRxChanPhase"),
        *("aoaFovCfg", "cfarFovCfg", "analogMonitor", "CQRxSatMonitor", "CQSigImgMonitor", "calibData", "advFrameCfg"),
        *("measureRangeBiasAndRxChanPhase", "subFrameCfg", "configDataPort", "queryDemoStatus", "version", "help"),
        *("flushCfg", "sensorStop", "sensorStart"),
    )
)  # fmt: skip
DEFAULT_PERIOD_NS = 100_000_000
MAX_LINE = 255


class Firmware:
    """One power-up of the sensor. is_running: frames are being sent. period_ns: how often."""

    def __init__(self) -> None:
        self.is_running = False
        self.period_ns = DEFAULT_PERIOD_NS
        self._line = bytearray()
        self._configured: dict[str, str] = {}
        self._at_first_start: dict[str, str] = {}
        self._was_started = False
        self._is_fresh = False  # configured since the last stop
        self._hangs = False

    def feed(self, data: bytes) -> bytes:
        """What the sensor sends back on its command line for what came in; nothing at all once it hangs."""
        answer = bytearray()
        for byte in data:
            if self._hangs:
                return bytes(answer)
            if byte == 0x0A or byte == 0x0D:
                line, self._line = self._line.decode("ascii", "replace"), bytearray()
                answer += f"{line}\r\n{self._answer(line.split())}".encode()
            elif len(self._line) < MAX_LINE:
                self._line.append(byte)
        return bytes(answer)

    def _answer(self, words: list[str]) -> str:
        if not words:
            return PROMPT
        if words[0].startswith("%"):
            return f"Skipped\r\n{PROMPT}"
        if words[0] not in KNOWN:
            return f"'{words[0]}' is not recognized as a CLI command\r\n{PROMPT}"
        said = self._obey(words[0], " ".join(words[1:]))
        if self._hangs:
            return said
        result = "Error -1" if said.startswith("Error") else "Done"
        return f"{said}{result}\r\n{PROMPT}"

    def _obey(self, command: str, arguments: str) -> str:
        """What the command prints before its result line."""
        if command == "sensorStop":
            if not self.is_running:
                return "Ignored: Sensor is already stopped\r\n"
            self.is_running = self._is_fresh = False
            return ""
        if command == "sensorStart":
            return self._start(arguments)
        if command == "flushCfg":
            self._configured.clear()
        elif command == "version":
            return "Platform : xWR64xx (simulated)\r\nmmWave SDK Version : 03.06.00.00\r\n"
        elif command not in ("help", "queryDemoStatus", "configDataPort"):
            if self._was_started and command in FIXED_AFTER_START and self._at_first_start.get(command) != arguments:
                self._hangs, self.is_running = True, False
                return "MSS Exception: mss_main.c, line 2048\r\n"
            self._configured[command] = arguments
            self._is_fresh = True
        return ""

    def _start(self, arguments: str) -> str:
        if self.is_running:
            return "Ignored: Sensor is already started\r\n"
        if arguments not in ("", "0"):
            return "Error: Invalid argument for sensorStart\r\n"
        if arguments == "0":
            if not self._was_started:
                return "Error: Full configuration must be provided before sensor can be started the first time\r\n"
            self.is_running = True
            return ""
        missing = [name for name in NEEDED if name not in self._configured]
        if missing and not self._was_started:
            return "Error: Full configuration must be provided before sensor can be started the first time\r\n"
        if missing or not self._is_fresh:
            return "Error: Full configuration must be provided; use sensorStart 0 to restart without one\r\n"
        period = self._configured["frameCfg"].split()
        try:
            self.period_ns = round(float(period[4]) * 1e6)
        except (IndexError, ValueError):
            return "Error: Invalid usage of the CLI command\r\n"
        if not self._was_started:
            self._at_first_start = dict(self._configured)
        self.is_running = self._was_started = True
        return "Debug: Init Calibration Status = 0xffe\r\n"
