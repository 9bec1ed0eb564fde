"""GET /api/system/tree: every actor as it stands, supervisors before their children."""

import falcon

from stevie import rfc3339
from stevie.http.edge import Edge
from stevie.http.encoding import to_json
from stevie.http.requests import Resource, check_query
from stevie.runtime.directory import ActorView


class TreeResource(Resource):
    """The supervision tree as flat rows, each with its parent."""

    def __init__(self, edge: Edge) -> None:
        self._edge = edge

    def on_get(self, req: falcon.Request, resp: falcon.Response, **_path: str) -> None:
        """Answer with the rows; nobody is asked, so it answers whatever the actors do."""
        check_query(req)
        edge = self._edge
        document = {
            "version": edge.version,
            "profile": edge.profile,
            "kernel": edge.kernel.name,
            "kernel_hash": edge.kernel.source_hash,
            "started_at": rfc3339.text(edge.started_at_ns),
            "uptime_s": edge.uptime_s(),
            "hub_lag_s": edge.hub_lag_s(),
            "actors": [_row(view) for view in edge.directory.tree()],
        }
        resp.text = to_json(document)


def _row(view: ActorView) -> dict[str, object]:
    return {
        "name": view.name,
        "parent": view.parent,
        "actor_class": view.actor_class,
        "state": view.state.value,
        "incarnation": view.incarnation,
        "restarts": view.restarts,
        "started_at": rfc3339.text(view.started_at_ns) if view.started_at_ns else None,
        "last_reason": view.last_reason,
        "mailbox": {
            "depth": view.mailbox_depth,
            "capacity": view.mailbox_capacity,
            "bytes": view.mailbox_bytes,
            "bytes_max": view.mailbox_bytes_max,
            "refused": view.refused,
            "conflated": view.conflated,
            "folded": view.folded,
            "overflowed": view.overflowed,
        },
    }
