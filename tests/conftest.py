"""For all tests: Hypothesis measures no time, and the examples it tries are the same each time."""

from hypothesis import HealthCheck, settings

# A machine that stalls is no failure of the code, and whether a test passes must not depend on the day.
UNTIMED = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}
settings.register_profile("suite", derandomize=True, database=None, **UNTIMED)
# Other examples each time: pytest --hypothesis-profile=search
settings.register_profile("search", derandomize=False, **UNTIMED)
settings.load_profile("suite")
