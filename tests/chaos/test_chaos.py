"""The parts of the chaos run that decide something."""

import pytest
from goodput import Outage, balance, outages
from schedule import schedule


def test_a_seed_gives_one_schedule():
    assert schedule(7, 480, 30) == schedule(7, 480, 30)
    assert schedule(7, 480, 30) != schedule(8, 480, 30)


@pytest.mark.parametrize("seed", range(20))
def test_faults_come_as_often_as_asked_and_hangs_are_rare(seed):
    faults = schedule(seed, 48000, 30)
    assert len(faults) == pytest.approx(1600, rel=0.15)
    for count in range(1, len(faults) + 1):
        assert sum(fault.kind == "hang" for fault in faults[:count]) <= 0.25 * count
    assert {fault.kind for fault in faults} == {
        "kill-trainer", "kill-agent", "hang", "slow", "corrupt-checkpoint", "partition", "kill-coordinator",
    }
    assert all(later.at - fault.at >= 6 for fault, later in zip(faults, faults[1:]))
    assert {fault.rank(4) for fault in faults} == {0, 1, 2, 3}


def test_the_law_takes_outages_off_and_goodput_counts_steps_once():
    result = balance([0.5] * 180, 100, [Outage(1, 3), Outage(4, 2)])
    assert result.rate == pytest.approx(0.02)
    assert result.mean_outage == pytest.approx(5)
    assert result.law == pytest.approx(0.9)
    assert result.goodput == pytest.approx(0.9)
    assert result.kept()
    assert not balance([0.5] * 170, 100, [Outage(1, 3), Outage(4, 2)]).kept()
    assert balance([0.5] * 190, 100, []).law == 1


def test_an_outage_begins_with_the_newest_fault_before_it():
    assert outages([10, 50, 90], [(51, 2), (95, 3)]) == [Outage(1, 2), Outage(5, 3)]
