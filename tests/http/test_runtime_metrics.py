from stevie.runtime.lifecycle import State
from tests.http.fakes import Site, row
from tests.http.scrape import value


def test_every_actor_is_told_with_its_mailbox():
    site = Site()
    site.directory.rows.append(row("market", state=State.DOWN))

    expected = {
        "stevie_mailbox_depth": 3,
        "stevie_mailbox_capacity": 1024,
        "stevie_mailbox_bytes": 77,
        "stevie_mailbox_refused_total": 4,
        "stevie_mailbox_conflated_total": 5,
        "stevie_mailbox_folded_total": 6,
        "stevie_mailbox_lost_total": 7,
        "stevie_actor_incarnations_total": 2,
        "stevie_actor_up": 1,
    }
    for name, count in expected.items():
        assert value(site, name, actor="feed/binance") == count
    assert value(site, "stevie_actor_up", actor="market") == 0


def test_kernel_build_and_loop_are_told():
    site = Site()

    assert value(site, "stevie_kernel_info", kernel="native", hash="ab" * 32) == 1
    assert value(site, "stevie_build_info", version="0.1.0", profile="dev") == 1
    assert value(site, "stevie_hub_lag_seconds") == 0.001
