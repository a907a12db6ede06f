"""HTML made of elements: every text is escaped unless it is an element itself."""

from html import escape


class Markup(str):
    """Text that is HTML already."""

    __slots__ = ()


def element(name: str, /, *content: str, **attributes: str) -> Markup:
    """Return an element; `class_` becomes class, other underscores become hyphens."""
    shown = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(value)}"'
        for key, value in attributes.items()
    )
    return Markup(f"<{name}{shown}>{joined(*content)}</{name}>")


def void_element(name: str, /, **attributes: str) -> Markup:
    """Return an element that has no content and no end tag."""
    return Markup(element(name, **attributes).removesuffix(f"</{name}>"))


def joined(*content: str) -> Markup:
    """Return the parts one after another, escaped where they are plain text."""
    return Markup("".join(each if isinstance(each, Markup) else escape(each) for each in content))
