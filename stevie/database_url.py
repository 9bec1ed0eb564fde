"""The URL of a database, as it may be shown."""

from urllib.parse import urlsplit


def without_password(url: str) -> str:
    """The URL as it may be shown and logged."""
    parts = urlsplit(url)
    if "://" not in url:
        return "?"  # whatever it is, it may hold a password
    user, _, host = parts.netloc.rpartition("@")
    shown = f"{user.partition(':')[0]}:***@{host}" if ":" in user else parts.netloc
    return f"{parts.scheme}://{shown}{parts.path}" + ("?..." if parts.query else "")
