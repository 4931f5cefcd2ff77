"""What schedulers say of numbers that are none: the same of all of them."""

import pytest

from hpo_pipeline.errors import ConfigError
from hpo_pipeline.scheduler.asha import ASHA
from hpo_pipeline.scheduler.fifo import FIFO
from hpo_pipeline.scheduler.hyperband import Hyperband
from hpo_pipeline.scheduler.median_stopping import MedianStopping
from hpo_pipeline.scheduler.pasha import PASHA
from hpo_pipeline.scheduler.pbt import PBT
from hpo_pipeline.scheduler.successive_halving import SuccessiveHalving
from hpo_pipeline.simulation import SPACE

LADDER = {"eta": 3, "min_resource": 1, "max_resource": 9}
GIVEN = {
    FIFO: {"max_resource": 9},
    SuccessiveHalving: {**LADDER, "bracket_size": 9},
    Hyperband: LADDER,
    ASHA: {**LADDER, "brackets": 2},
    PASHA: LADDER,
    MedianStopping: {"max_resource": 9, "grace_period": 1, "min_samples": 3},
    PBT: {"max_resource": 9, "population": 4, "interval": 1},
}
CASES = [pytest.param(make, key, id=f"{make.__name__}.{key}") for make, keys in GIVEN.items() for key in keys]


@pytest.mark.parametrize("value", [True, 3.0, 2.5, "3", None, [3], 0, -1, float("nan"), float("inf")])
@pytest.mark.parametrize(("make", "key"), CASES)
def test_what_is_no_positive_integer_is_refused_by_its_name(make, key, value):
    if (key, value) == ("bracket_size", None):
        return  # the default: as many as leave one at the top
    more = {"space": SPACE, "seed": 0} if make is PBT else {}
    with pytest.raises(ConfigError) as caught:
        make(None, **{**GIVEN[make], **more, key: value})
    least = 2 if key == "eta" else 1
    assert caught.value.lines == [f"{key}: must be an integer of at least {least}, got {value!r}"]
    make(None, **GIVEN[make], **more)
