"""What a run may be: its settings and their rules, presets, what can be combined, and the repair of settings.

Knows neither arrays of a network nor the store; limits of a host are in `echo_core.settings`.
"""

from echo_core.config.run_config import (
           FIELDS_ADDED_LATER,
           LARGE_UNITS,
           TRAINING_VERSION,
           RunConfig,
           check_text,
           written,
)
from echo_core.config.sizes import by_nearness, divisors, sizes_of_text

__all__ = ["FIELDS_ADDED_LATER", "LARGE_UNITS", "TRAINING_VERSION", "RunConfig", "by_nearness", "check_text",
           "divisors", "sizes_of_text", "written"]
