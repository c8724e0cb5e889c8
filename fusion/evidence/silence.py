"""How probable it is that a sniffer misses packets that another one heard: censored readings.

A reading below the floor is not seen, but that it was not seen is: its likelihood is the probability of being below,
as in Tobin, "Estimation of Relationships for Limited Dependent Variables", Econometrica 26 (1958), equation 6. On top
of it packets are lost whatever their strength.
"""

import numpy as np
from scipy.special import ndtr

from ..geometry import Floats

LOST_SHARE = 0.2  # of packets, whatever their strength
MOST_PACKETS = 3  # those of one window share their fate: more say no more


def log_missed(margin_db: Floats, variance_db2: Floats, packets: int) -> Floats:
    """Log-probability (K,) that none of the packets is heard; margin_db: how far the power expected is above the
    floor."""
    lost = LOST_SHARE ** min(max(packets, 1), MOST_PACKETS)
    return np.log(lost + (1 - lost) * ndtr(-margin_db / np.sqrt(variance_db2)))
