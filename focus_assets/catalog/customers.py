"""Who buys what is metered, and whose usage is theirs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from pydantic import Field

from focus_assets.catalog.entry import Entry
from focus_assets.catalog.instants import Day
from focus_assets.catalog.key_values import KeyValues


class Customer(Entry):
    """A customer and the subjects whose usage is theirs: its key and its subject keys."""

    key: Annotated[str, Field(min_length=1, max_length=256)]
    """What subscriptions refer to; also a subject of its own."""
    id: str | None = None
    """What identifies the customer for ever, such as OpenMeter's id; the key where absent."""
    name: str = ""
    """Display name."""
    subject_keys: tuple[str, ...] = ()
    """Subjects whose usage is this customer's."""
    labels: Mapping[str, str] = {}
    """Texts of your own."""
    dimensions: Mapping[str, str | None] = {}
    """FOCUS columns of this customer's rows."""
    tags: KeyValues = {}
    """Tags of this customer's rows, without prefix, where events have not the key; null: no such tag."""
    valid_from: Day | None = None
    """First day of this version; repeat the customer for a later one."""

    @property
    def title(self) -> str:
        """The display name; the key where none was given."""
        return self.name or self.key

    @property
    def account_id(self) -> str:
        """What identifies the customer for ever: its id, else its key."""
        return self.id or self.key

    @property
    def subjects(self) -> tuple[str, ...]:
        """Every subject attributed to this customer, its own key first."""
        return (self.key, *(key for key in self.subject_keys if key != self.key))
