"""The loss of gateways: their clients return to the others, which claim the sessions, dial, and restore."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass

from benchmarks.percentiles import percentile
from benchmarks.scale.prices import Prices, Rules
from benchmarks.scale.queues import Station

#: Seconds until a client connects again (Deepgram's SDK for JavaScript), evenly.
RETURNS = (1.0, 5.0)
#: Seconds for the connection to the model and its confirmations, without the gateway's CPU. Assumed.
DIAL = 0.5


@dataclass(frozen=True)
class GatewayLoss:
    """What comes of it. Times in seconds after the loss."""

    sessions: int
    p50: float
    p99: float
    last: float
    #: The most claims, and dials, that began within one second.
    claims: int
    dials: int
    #: The busiest second of a surviving gateway, and of a Redis server, as shares of a core beyond what they do anyway.
    gateway_share: float
    redis_share: float


def lose(
    sessions: int, survivors: int, servers: int, share: float, prices: Prices, rules: Rules, seed: int = 1
) -> GatewayLoss:
    """``sessions`` sessions return to ``survivors`` gateways, each of which is busy for ``share`` of the time anyway:
    work takes so much longer. The owner is dead, so every claim waits as long as it may."""
    draw = random.Random(seed)
    gateways = [Station(1) for _ in range(survivors)]
    redis = [Station(1) for _ in range(servers)]
    claims: Counter[int] = Counter()
    dials: Counter[int] = Counter()
    restored = []
    for now in sorted(draw.uniform(*RETURNS) for _ in range(sessions)):
        claims[int(now)] += 1
        claimed = draw.choice(redis).serve(now, prices.claimed) + rules.claim_wait
        dials[int(claimed)] += 1
        restored.append((claimed, draw.randrange(survivors)))
    ends = []
    for now, gateway in sorted(restored):
        ends.append(gateways[gateway].serve(now, prices.taken_up / (1 - share)) + DIAL)
    ends.sort()
    return GatewayLoss(
        sessions=sessions,
        p50=percentile(ends, 0.5),
        p99=percentile(ends, 0.99),
        last=ends[-1],
        claims=max(claims.values()),
        dials=max(dials.values()),
        gateway_share=max(max(one.busy.values(), default=0.0) for one in gateways) * (1 - share),
        redis_share=max(max(one.busy.values(), default=0.0) for one in redis),
    )
