"""Reading /metrics as Prometheus would."""

from prometheus_client.parser import text_string_to_metric_families

from tests.http.fakes import Site


def text(site: Site) -> str:
    result = site.get("/metrics")
    assert result.status_code == 200
    assert result.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    return result.text


def samples(site: Site) -> list:
    return [
        sample for family in text_string_to_metric_families(text(site)) for sample in family.samples
    ]


def value(site: Site, name: str, **labels: str) -> float:
    (found,) = [s.value for s in samples(site) if s.name == name and s.labels == labels]
    return found
