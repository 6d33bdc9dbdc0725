"""What is metered, for whom and at what price, in OpenMeter's vocabulary: the entries of a catalog by one name.

What belongs here: names. The entries and their own validity rules are in ``meters``, ``customers``, ``plans`` and
``prices``; where they come from (``settings``, ``openmeter``) and what becomes of them (``charges``) is elsewhere.
"""

from focus_assets.catalog.customers import Customer as Customer
from focus_assets.catalog.entry import DIMENSION_KEY as DIMENSION_KEY
from focus_assets.catalog.entry import SLUG as SLUG
from focus_assets.catalog.entry import Entry as Entry
from focus_assets.catalog.entry import Slug as Slug
from focus_assets.catalog.instants import Day as Day
from focus_assets.catalog.instants import Instant as Instant
from focus_assets.catalog.meters import Aggregation as Aggregation
from focus_assets.catalog.meters import DimensionSetting as DimensionSetting
from focus_assets.catalog.meters import Feature as Feature
from focus_assets.catalog.meters import FromDimension as FromDimension
from focus_assets.catalog.meters import Meter as Meter
from focus_assets.catalog.plans import Plan as Plan
from focus_assets.catalog.plans import RateCard as RateCard
from focus_assets.catalog.plans import Subscription as Subscription
from focus_assets.catalog.prices import FlatPrice as FlatPrice
from focus_assets.catalog.prices import FreePrice as FreePrice
from focus_assets.catalog.prices import Price as Price
from focus_assets.catalog.prices import Tier as Tier
from focus_assets.catalog.prices import TieredPrice as TieredPrice
from focus_assets.catalog.prices import UnitPrice as UnitPrice
