"""For all tests: Hypothesis measures no time and tries the same examples each time; Ctrl-C is heard."""

import signal

from hypothesis import HealthCheck, settings

# A machine that stalls is no failure of the code, and whether a test passes must not depend on the day.
UNTIMED = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}
settings.register_profile("suite", derandomize=True, database=None, **UNTIMED)
# Other examples each time: pytest --hypothesis-profile=search
settings.register_profile("search", derandomize=False, **UNTIMED)
settings.load_profile("suite")

# A shell's background job has Ctrl-C ignored, and so have its children: what is interrupted here would never end.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
