"""What a command that trains asks for first: torch, on one thread.

Sums over several threads are added in another order, and a training that goes on for minutes makes another model of
that: what is learnt must hang on its material and seed, not on how many cores a machine has.
"""

from .errors import LaunchError


def ready_to_train(what: str = "learning") -> None:
    """Raises LaunchError where torch is missing; `what` needs it is what the sentence says."""
    try:
        import torch
    except ImportError as error:
        raise LaunchError(
            f"{what} needs torch: the `train` extra", 'pip install ".[train]", in the checkout'
        ) from error
    torch.set_num_threads(1)
