from tests.http.fakes import NOW_NS, Site, row


def test_the_tree_has_a_row_for_each_actor_with_its_parent_and_its_mailbox():
    document = Site().get("/api/system/tree").json

    rows = {each["name"]: each for each in document["actors"]}
    assert rows["root"]["parent"] is None
    assert rows["feed/binance"] == {
        "name": "feed/binance",
        "parent": "root",
        "actor_class": "Feed",
        "state": "running",
        "incarnation": 2,
        "restarts": 1,
        "started_at": "2024-11-22T23:59:59.123456Z",
        "last_reason": "ValueError: once",
        "mailbox": {
            "depth": 3,
            "capacity": 1024,
            "bytes": 77,
            "bytes_max": 4096,
            "refused": 4,
            "conflated": 5,
            "folded": 6,
            "overflowed": 7,
        },
    }


def test_the_tree_says_what_runs_and_for_how_long():
    document = Site().get("/api/system/tree").json

    assert document["kernel"] == "native"
    assert document["version"] == "0.1.0"
    assert document["uptime_s"] == 60.0
    assert document["started_at"] == "2024-11-22T23:59:00.123456Z"


def test_the_tree_is_told_while_no_actor_answers():
    site = Site()
    site.directory.answers = {}
    site.directory.rows = [row("root")]

    assert [each["name"] for each in site.get("/api/system/tree").json["actors"]] == ["root"]
    assert site.directory.asked == []


def test_time_goes_on():
    site = Site()
    site.clock.now_ns = NOW_NS + 5_000_000_000

    assert site.get("/api/system/tree").json["uptime_s"] == 65.0
