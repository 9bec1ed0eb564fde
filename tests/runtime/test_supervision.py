"""The rules of supervision: examples, then any history at all against what must never happen."""

import math

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from stevie.adapters.rng import SeededRng
from stevie.runtime.lifecycle import Cause, ChildDown, ChildStarted, Phase, Pong
from stevie.runtime.supervision import (
    CHILDREN_MAX,
    HEARTBEAT_S,
    KILL_S,
    PINGS_MISSED_MAX,
    AbandonChild,
    Alarm,
    Backoff,
    Begin,
    ChildSpec,
    Effect,
    End,
    Intensity,
    KillChild,
    Mode,
    NoteRestart,
    PingChild,
    Plan,
    ReportUp,
    Restart,
    RetireChild,
    SelfFailed,
    SetAlarm,
    StartChild,
    Status,
    StopChild,
    StopRequested,
    Strategy,
    Supervision,
)
from tests.runtime.cast import Player

ABNORMAL = (Cause.BUG, Cause.REFUSED, Cause.KILLED, Cause.ESCALATED)


def child(name: str, restart: Restart = Restart.PERMANENT, **deadlines: float) -> ChildSpec:
    return ChildSpec(name=name, factory=Player, restart=restart, **deadlines)


class World:
    """Children as a supervisor's effects make them, on a clock that only moves when told."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.order = [spec.name for spec in plan.children]
        self.core = Supervision(plan, SeededRng(1), incarnations={})
        self.now_s = 0.0
        self.alive: dict[str, int] = {}  # name -> incarnation
        self.up: set[str] = set()
        self.gone: set[str] = set()
        self.told_to_stop: list[str] = []  # and still alive
        self.killed: set[str] = set()  # and still alive
        self.silent: set[str] = set()  # answer no ping
        self.pongs: list[Pong] = []
        self.alarms: list[tuple[float, Alarm]] = []
        self.log: list[Effect] = []
        self.restarts_at_s: list[float] = []
        self.has_been_up = False
        self.end: End | None = None

    def feed(self, event: object) -> tuple[Effect, ...]:
        effects = self.core.on(event, now_s=self.now_s)
        for effect in effects:
            assert self.end is None, f"{effect} after the end"
            self.log.append(effect)
            getattr(self, f"on_{type(effect).__name__}")(effect)
        while self.pongs:
            assert self.core.on(self.pongs.pop(), now_s=self.now_s) == ()
        return effects

    # What effects do, and what they must never do.

    def on_StartChild(self, effect: StartChild) -> None:  # noqa: N802
        name = effect.spec.name
        assert name not in self.alive, f"{name} twice at once"
        assert name not in self.gone, f"{name} came back for good"
        if not self.has_been_up or self.plan.strategy is not Strategy.ONE_FOR_ONE:
            before = self.order[: self.order.index(name)]
            assert all(b in self.up or b in self.gone for b in before), f"{name} before its turn"
        self.alive[name] = effect.incarnation

    def on_StopChild(self, effect: StopChild) -> None:  # noqa: N802
        self.check_last(effect.name)
        self.told_to_stop.append(effect.name)

    def check_last(self, name: str) -> None:
        after = self.order[self.order.index(name) + 1 :]
        assert not [a for a in after if a in self.alive], f"{name} stopped before its turn"

    def on_KillChild(self, effect: KillChild) -> None:  # noqa: N802
        assert effect.name in self.alive, effect
        self.killed.add(effect.name)

    def on_AbandonChild(self, effect: AbandonChild) -> None:  # noqa: N802
        assert effect.name in self.killed, effect
        self.forget(effect.name)

    def on_RetireChild(self, effect: RetireChild) -> None:  # noqa: N802
        assert effect.name not in self.alive, effect
        self.gone.add(effect.name)

    def on_PingChild(self, effect: PingChild) -> None:  # noqa: N802
        assert effect.name in self.up, effect
        if effect.name not in self.silent:
            self.pongs.append(Pong(name=effect.name, incarnation=self.alive[effect.name]))

    def on_SetAlarm(self, effect: SetAlarm) -> None:  # noqa: N802
        key = (effect.alarm.kind, effect.alarm.name)
        self.alarms = [(at, a) for at, a in self.alarms if (a.kind, a.name) != key]
        self.alarms.append((self.now_s + effect.delay_s, effect.alarm))

    def on_NoteRestart(self, effect: NoteRestart) -> None:  # noqa: N802
        self.restarts_at_s.append(self.now_s)
        since_s = self.now_s - self.plan.intensity.period_s
        recent_count = sum(at_s >= since_s for at_s in self.restarts_at_s)
        assert recent_count <= self.plan.intensity.restarts

    def on_ReportUp(self, effect: ReportUp) -> None:  # noqa: N802
        assert not self.has_been_up
        assert self.up | self.gone == set(self.order)
        self.has_been_up = True

    def on_End(self, effect: End) -> None:  # noqa: N802
        assert not self.alive, f"left running: {self.alive}"
        self.end = effect

    # What children do.

    def forget(self, name: str) -> None:
        del self.alive[name]
        self.up.discard(name)
        self.killed.discard(name)
        self.silent.discard(name)
        self.told_to_stop = [n for n in self.told_to_stop if n != name]

    def come_up(self, name: str) -> tuple[Effect, ...]:
        self.up.add(name)
        return self.feed(ChildStarted(name=name, incarnation=self.alive[name]))

    def die(self, name: str, cause: Cause = Cause.BUG) -> tuple[Effect, ...]:
        phase = Phase.TELL if name in self.up else Phase.STARTING
        incarnation = self.alive[name]
        self.forget(name)
        down = ChildDown(
            name=name, incarnation=incarnation, phase=phase, cause=cause, reason="a reason"
        )
        return self.feed(down)

    def next_alarm(self) -> tuple[Effect, ...]:
        self.alarms.sort(key=lambda entry: entry[0])
        at_s, alarm = self.alarms.pop(0)
        self.now_s = max(self.now_s, at_s)
        return self.feed(alarm)

    def bring_up(self) -> None:
        """Every child that starts comes up, until nothing starts any more."""
        self.feed(Begin())
        while starting := [n for n in self.order if n in self.alive and n not in self.up]:
            self.come_up(starting[0])

    def restart_all(self) -> None:
        """Let alarms and children do their part until all are up again or the end has come."""
        for _ in range(100):
            is_owed = bool(self.told_to_stop or self.killed)
            if self.end or (self.up | self.gone == set(self.order) and not is_owed):
                return
            if not self.obey():
                self.next_alarm()
        raise AssertionError("never settles")

    def obey(self) -> bool:
        """Let one child do what it was told."""
        for name in list(self.alive):
            if name in self.killed:
                self.die(name, Cause.KILLED)
                return True
            if name in self.told_to_stop:
                self.die(name, Cause.STOPPED)
                return True
            if name not in self.up:
                self.come_up(name)
                return True
        return False

    def started(self) -> list[str]:
        return [e.spec.name for e in self.log if isinstance(e, StartChild)]

    def stopped(self) -> list[str]:
        return [e.name for e in self.log if isinstance(e, StopChild)]


def world_of(*children: ChildSpec, is_up: bool = True, **rules: object) -> World:
    world = World(Plan(children=children, **rules))
    if is_up:
        world.bring_up()
        world.log.clear()
    return world


def abc(*restarts: Restart, **rules: object) -> World:
    restarts = restarts or (Restart.PERMANENT,) * 3
    return world_of(*[child(n, r) for n, r in zip("abc", restarts, strict=True)], **rules)


def test_each_child_starts_once_the_one_before_it_is_up():
    world = abc(is_up=False)

    world.feed(Begin())
    assert world.started() == ["a"]
    world.come_up("a")
    assert world.started() == ["a", "b"]
    world.come_up("b")
    assert not world.has_been_up
    world.come_up("c")

    assert world.started() == ["a", "b", "c"]
    assert world.has_been_up


def test_a_supervisor_without_children_is_up_at_once():
    world = world_of()

    assert world.has_been_up


def test_a_first_start_that_fails_stops_those_already_up_and_fails_the_supervisor():
    world = abc(is_up=False)
    world.feed(Begin())
    world.come_up("a")

    world.die("b", Cause.REFUSED)
    assert world.stopped() == ["a"]
    world.die("a", Cause.STOPPED)

    assert world.end == End(cause=Cause.ESCALATED, reason="b did not start: a reason")


def test_a_restart_that_fails_is_tried_again_within_the_intensity():
    world = abc(intensity=Intensity(restarts=2, period_s=30))
    world.die("b")
    world.next_alarm()
    world.die("b")
    assert world.end is None

    world.restart_all()

    assert world.started() == ["b", "b"]
    assert world.up == {"a", "b", "c"}


@pytest.mark.parametrize(
    ("strategy", "stopped", "started"),
    [
        (Strategy.ONE_FOR_ONE, [], ["b"]),
        (Strategy.REST_FOR_ONE, ["c"], ["b", "c"]),
        (Strategy.ONE_FOR_ALL, ["c", "a"], ["a", "b", "c"]),
    ],
)
def test_the_strategy_says_who_is_restarted_with_the_one_that_died(strategy, stopped, started):
    world = abc(strategy=strategy)

    world.die("b")
    world.restart_all()

    assert world.stopped() == stopped
    assert world.started() == started


@pytest.mark.parametrize(
    ("restart", "cause", "comes_back"),
    [
        (Restart.PERMANENT, Cause.STOPPED, True),
        (Restart.PERMANENT, Cause.BUG, True),
        (Restart.TRANSIENT, Cause.STOPPED, False),
        *[(Restart.TRANSIENT, cause, True) for cause in ABNORMAL],
        (Restart.TEMPORARY, Cause.STOPPED, False),
        (Restart.TEMPORARY, Cause.BUG, False),
    ],
)
def test_the_restart_type_says_whether_a_child_comes_back(restart, cause, comes_back):
    world = abc(Restart.PERMANENT, restart, Restart.PERMANENT)

    world.die("b", cause)
    world.restart_all()

    assert ("b" in world.started()) is comes_back
    assert ("b" in world.gone) is not comes_back
    assert world.core.mode is Mode.RUNNING


def test_a_temporary_child_stopped_for_a_siblings_sake_does_not_come_back():
    world = abc(
        Restart.PERMANENT, Restart.TEMPORARY, Restart.TRANSIENT, strategy=Strategy.ONE_FOR_ALL
    )

    world.die("a")
    world.restart_all()

    assert world.started() == ["a", "c"]
    assert world.gone == {"b"}


def test_one_restart_more_than_allowed_stops_all_children_and_escalates():
    world = abc(intensity=Intensity(restarts=2, period_s=30))
    for _ in range(2):
        world.die("b")
        world.restart_all()

    world.die("b")
    assert world.stopped() == ["c"]
    world.die("c", Cause.STOPPED)
    assert world.stopped() == ["c", "a"]
    world.die("a", Cause.STOPPED)

    assert world.end.cause is Cause.ESCALATED
    assert world.end.reason == "over 2 restarts in 30 s, last b: a reason"


def test_restarts_older_than_the_period_do_not_count():
    world = abc(intensity=Intensity(restarts=1, period_s=30))
    for _ in range(5):
        world.now_s += 31
        world.die("b")
        world.restart_all()

    assert world.end is None


def test_a_restart_of_the_whole_group_counts_once():
    world = abc(strategy=Strategy.ONE_FOR_ALL, intensity=Intensity(restarts=1))

    world.die("a")
    world.restart_all()

    assert world.up == {"a", "b", "c"}


def test_backoff_doubles_to_its_maximum_and_starts_anew_after_a_proven_life():
    backoff = Backoff(min_s=1, max_s=8, jitter=0)
    world = abc(backoff=backoff, intensity=Intensity(restarts=100))
    for _ in range(5):
        world.die("b")
        world.restart_all()
    world.now_s += backoff.proven_s + 0.1
    world.die("b")

    assert [e.delay_s for e in world.log if isinstance(e, NoteRestart)] == [1, 2, 4, 8, 8, 1]


def test_backoff_jitter_stays_within_its_share():
    backoff = Backoff(min_s=1, max_s=1, jitter=0.2)
    rng = SeededRng(1)

    delays_s = [backoff.delay_s(0, rng) for _ in range(1000)]

    assert 1 <= min(delays_s) < 1.01
    assert 1.19 < max(delays_s) <= 1.2


def test_one_child_that_waits_for_its_restart_does_not_hold_up_another():
    world = abc(backoff=Backoff(min_s=1, max_s=10, jitter=0), intensity=Intensity(restarts=9))
    world.die("a")
    world.restart_all()
    world.log.clear()

    world.die("a")  # waits 2 s
    world.die("c")  # waits 1 s
    world.next_alarm()
    while world.started() != ["c"]:
        world.next_alarm()

    assert "a" not in world.alive


def test_all_wait_for_the_longest_back_off_when_all_are_restarted():
    world = abc(strategy=Strategy.ONE_FOR_ALL)

    world.die("c")
    world.die("b", Cause.STOPPED)
    world.die("a", Cause.STOPPED)
    assert world.started() == []
    world.restart_all()

    assert world.started() == ["a", "b", "c"]


def test_a_stop_takes_the_children_down_in_reverse_one_after_the_other():
    world = abc()

    world.feed(StopRequested())
    assert world.stopped() == ["c"]
    world.die("c", Cause.STOPPED)
    world.die("b", Cause.STOPPED)
    world.die("a", Cause.STOPPED)

    assert world.stopped() == ["c", "b", "a"]
    assert world.end == End(cause=Cause.STOPPED, reason="")


def test_a_stop_during_a_restart_starts_nothing_more():
    world = abc(strategy=Strategy.REST_FOR_ONE)
    world.die("b")

    world.feed(StopRequested())
    world.die("c", Cause.STOPPED)
    world.die("a", Cause.STOPPED)

    assert world.end.cause is Cause.STOPPED
    assert world.started() == []


def test_a_child_that_dies_while_its_siblings_are_stopped_is_just_down():
    world = abc()
    world.feed(StopRequested())

    world.die("a", Cause.BUG)
    world.die("c", Cause.STOPPED)
    world.die("b", Cause.STOPPED)

    assert world.end == End(cause=Cause.STOPPED, reason="")
    assert world.restarts_at_s == []


def test_a_death_before_the_condemned_are_down_restarts_from_there():
    world = abc(strategy=Strategy.REST_FOR_ONE)

    world.die("b")
    world.die("a")
    world.restart_all()

    assert world.started() == ["a", "b", "c"]
    assert len(world.restarts_at_s) == 2


def test_a_child_that_does_not_stop_in_time_is_killed():
    world = abc()

    world.feed(StopRequested())
    world.now_s += 5
    while not world.killed:
        world.next_alarm()

    assert world.killed == {"c"}
    assert KillChild(name="c", reason="not stopped within 5 s") in world.log


def test_a_child_that_does_not_start_in_time_is_killed_and_has_failed_to_start():
    world = world_of(child("a", start_s=2), is_up=False)
    world.feed(Begin())

    assert world.next_alarm()[0] == KillChild(name="a", reason="not started within 2 s")
    world.die("a", Cause.KILLED)

    assert world.end.cause is Cause.ESCALATED


def test_a_child_without_time_to_stop_is_killed_at_once():
    world = world_of(child("a", shutdown_s=0))

    world.feed(StopRequested())

    assert world.killed == {"a"}


def test_a_child_that_outlives_its_kill_is_left_behind():
    world = world_of(child("a", shutdown_s=0))
    world.feed(StopRequested())

    world.now_s += KILL_S
    while world.end is None:
        world.next_alarm()

    assert AbandonChild(name="a") in world.log


def test_news_of_an_abandoned_incarnation_change_nothing():
    world = world_of(child("a"))
    world.silent.add("a")
    incarnation = world.alive["a"]
    while "a" in world.alive:
        world.next_alarm()
    world.restart_all()

    late = ChildDown(
        name="a", incarnation=incarnation, phase=Phase.TELL, cause=Cause.KILLED, reason="late"
    )

    assert world.feed(late) == ()
    assert world.up == {"a"}


def test_a_child_without_a_sign_of_life_is_killed_and_restarted():
    world = abc()
    world.silent.add("b")
    while not world.killed:
        world.next_alarm()

    assert world.killed == {"b"}
    assert world.now_s == pytest.approx((PINGS_MISSED_MAX + 1) * HEARTBEAT_S)
    world.die("b", Cause.KILLED)
    world.restart_all()
    assert world.started() == ["b"]


def test_a_supervisor_that_fails_stops_its_children_first():
    world = abc()

    world.feed(SelfFailed(cause=Cause.BUG, reason="own bug"))
    for name in "cba":
        world.die(name, Cause.STOPPED)

    assert world.stopped() == ["c", "b", "a"]
    assert world.end == End(cause=Cause.BUG, reason="own bug")


def test_a_killed_supervisor_kills_its_children_in_reverse():
    world = abc()

    world.feed(SelfFailed(cause=Cause.KILLED, reason="enough"))
    for name in "cba":
        assert world.killed == {name}
        world.die(name, Cause.KILLED)

    assert world.end == End(cause=Cause.KILLED, reason="enough")


def test_a_supervisor_killed_while_it_stops_kills_those_that_are_left():
    world = abc()
    world.feed(StopRequested())

    world.feed(SelfFailed(cause=Cause.KILLED, reason="too slow"))
    assert world.killed == {"c"}
    for name in "cba":
        world.die(name, Cause.KILLED)

    assert world.end.cause is Cause.KILLED


@pytest.mark.parametrize(
    ("build", "names_it"),
    [
        (lambda: child(""), "ChildSpec.name: expected a name, was ''"),
        (lambda: child("a", start_s=0), "ChildSpec.start_s: expected seconds > 0, was 0"),
        (lambda: child("a", shutdown_s=-1), "ChildSpec.shutdown_s: expected seconds >= 0, was -1"),
        (lambda: child("a", "always"), "ChildSpec.restart: expected a Restart, was 'always'"),
        (lambda: Intensity(restarts=-1), "Intensity.restarts: expected a count >= 0, was -1"),
        (lambda: Intensity(period_s=0), "Intensity.period_s: expected seconds > 0, was 0"),
        (lambda: Backoff(min_s=-1), "Backoff.min_s: expected seconds >= 0, was -1"),
        (lambda: Backoff(min_s=2, max_s=1), "Backoff.max_s: expected seconds >= min_s 2, was 1"),
        (lambda: Backoff(jitter=2), "Backoff.jitter: expected a share from 0 to 1, was 2"),
        (lambda: Plan(children=(), strategy="all"), "expected a Strategy, was 'all'"),
        (lambda: Plan(children=(child("a"), child("a"))), r"distinct names, repeated \['a'\]"),
        (
            lambda: Plan(children=tuple(child(str(n)) for n in range(CHILDREN_MAX + 1))),
            f"Plan.children: expected <= {CHILDREN_MAX}",
        ),
    ],
)
def test_a_wrong_plan_is_refused_with_the_field_and_the_value(build, names_it):
    with pytest.raises(ValueError, match=names_it):
        build()


CAUSES = st.sampled_from([Cause.STOPPED, *ABNORMAL])
SPECS = st.lists(
    st.tuples(st.sampled_from(Restart), st.sampled_from([0.0, 1.0, math.inf])),
    min_size=1,
    max_size=5,
)


class AnyHistory(RuleBasedStateMachine):
    """Children start, die, hang and obey in any order; `World` holds what must never happen."""

    @initialize(
        specs=SPECS,
        strategy=st.sampled_from(Strategy),
        restarts=st.integers(0, 4),
        period_s=st.sampled_from([1.0, 10.0, 60.0]),
    )
    def begin(self, specs, strategy, restarts, period_s) -> None:
        children = [child(f"c{i}", r, shutdown_s=s) for i, (r, s) in enumerate(specs)]
        intensity = Intensity(restarts=restarts, period_s=period_s)
        self.world = World(Plan(children=tuple(children), strategy=strategy, intensity=intensity))
        self.world.feed(Begin())

    def pick(self, data: st.DataObject, names: list[str]) -> str | None:
        return data.draw(st.sampled_from(sorted(names))) if names else None

    @rule(data=st.data())
    def a_child_comes_up(self, data) -> None:
        names = [n for n in self.world.alive if n not in self.world.up]
        if name := self.pick(data, names):
            self.world.come_up(name)

    @rule(data=st.data(), cause=CAUSES)
    def a_child_dies(self, data, cause) -> None:
        if name := self.pick(data, list(self.world.alive)):
            self.world.die(name, cause)

    @rule()
    def a_child_obeys(self) -> None:
        self.world.obey()

    @rule(data=st.data())
    def a_child_hangs(self, data) -> None:
        if name := self.pick(data, list(self.world.up)):
            self.world.silent.add(name)

    @rule()
    def time_passes_to_the_next_alarm(self) -> None:
        if self.world.alarms:
            self.world.next_alarm()

    @rule(seconds=st.floats(0, 100))
    def time_passes(self, seconds) -> None:
        due_s = min((at for at, _ in self.world.alarms), default=math.inf)
        self.world.now_s = min(self.world.now_s + seconds, max(due_s, self.world.now_s))

    @precondition(lambda self: self.world.core.mode is not Mode.OVER)
    @rule(chance=st.integers(0, 9))
    def it_is_asked_to_stop(self, chance) -> None:
        if chance == 0:
            self.world.feed(StopRequested())

    @precondition(lambda self: self.world.core.mode is not Mode.OVER)
    @rule(chance=st.integers(0, 9), cause=st.sampled_from([Cause.BUG, Cause.KILLED]))
    def it_fails_itself(self, chance, cause) -> None:
        if chance == 0:
            self.world.feed(SelfFailed(cause=cause, reason="itself"))

    @invariant()
    def it_knows_who_is_alive(self) -> None:
        if not hasattr(self, "world"):
            return
        known = {c.name: c.incarnation for c in self.world.core.children if c.is_alive}
        assert known == self.world.alive
        gone = {c.name for c in self.world.core.children if c.status is Status.GONE}
        assert gone == self.world.gone

    def teardown(self) -> None:
        """From anywhere, children that obey bring it to rest, and a stop brings it to its end."""
        if not hasattr(self, "world"):
            return
        world = self.world
        world.silent.clear()
        world.restart_all()
        world.log.clear()
        was_up = [name for name in world.order if name in world.alive]
        world.feed(StopRequested())
        while world.obey():
            pass
        assert world.end is not None
        ends = [e.name for e in world.log if isinstance(e, StopChild | KillChild)]
        assert ends == was_up[::-1]


AnyHistory.TestCase.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
TestAnyHistory = pytest.mark.slow(AnyHistory.TestCase)
