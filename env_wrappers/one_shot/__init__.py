"""One-shot games in which the designer's best prices are known: a contract, tolls on a network, a public good."""

from env_wrappers.one_shot.contract import Contract, VectorContract
from env_wrappers.one_shot.public_goods import PublicGoods, VectorPublicGoods
from env_wrappers.one_shot.routing import Routing, VectorRouting

__all__ = ["Contract", "PublicGoods", "Routing", "VectorContract", "VectorPublicGoods", "VectorRouting"]
