"""A discrete simulation of many sessions on several Redis servers, one of which is lost and comes back.

Simulated are the steps of docs/architecture.md at the granularity of messages: the publishers of the gateways with
their batches and pauses, Redis servers, translators and session-state as queues with the measured costs, reservations,
held requests, releases, the fence, retransmissions, and the sweeper. Not simulated are the network, the gateways' own
CPU, and audio.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from heapq import heappop, heappush
from itertools import count
from typing import Any

from benchmarks.scale.calls import Calls
from benchmarks.scale.parts import Plan, Publisher, Request, Server, Session, Snapshot
from benchmarks.scale.placement import placed
from benchmarks.scale.prices import Prices, Rules
from benchmarks.scale.queues import Station


class World:
    """Create it, call `run`, and look at what it has counted."""

    def __init__(self, plan: Plan, calls: Calls, prices: Prices, rules: Rules) -> None:
        self.plan, self._calls, self._prices, self._rules = plan, calls, prices, rules
        self._random = random.Random(plan.seed)
        self._events: list[tuple[float, int, Callable[..., None], tuple[Any, ...]]] = []
        self._order = count()
        self.now = 0.0
        self.translators = Station(plan.translators)
        self.session_states = Station(plan.session_states)
        self.servers = [self._server(name) for name in plan.names]
        self.sessions: list[Session] = []
        #: Requests: asked, carried out, over with their call before that, published again, and told twice.
        self.asked = self.executed = self.ended = self.again = self.repeated = 0
        #: Of each request that was carried out: its server, when it could have gone, and how long that took.
        self.waits: list[tuple[str, float, float]] = []
        #: Once per second: what waits at the publishers of each server.
        self.backlog: dict[str, list[int]] = {name: [] for name in plan.names}
        #: Journals that were written as a whole after the loss.
        self.rewritten = 0
        #: Calls that began at each server while one was away.
        self.begun: dict[str, int] = dict.fromkeys(plan.names, 0)
        self._calls_made = 0

    def run(self) -> None:
        """Run until the end of the plan."""
        plan = self.plan
        for number in range(plan.sessions):
            session = Session(number, number % plan.gateways, self.servers[0])
            self.sessions.append(session)
            self._begin_call(session)
        for server in self.servers:
            self._at(self._random.uniform(0, self._rules.sweep), self._sweep, server)
        self._at(0.0, self._note)
        if plan.lost_at is not None:
            self._at(plan.lost_at, self._lose, self.servers[0])
            self._at(plan.back_at, self._return, self.servers[0])
        events = self._events
        while events and events[0][0] <= plan.seconds:
            self.now, _, do, arguments = heappop(events)
            do(*arguments)

    @property
    def open(self) -> int:
        """Requests that are neither carried out nor over."""
        return sum(len(session.requests) for session in self.sessions)

    # The calls

    def _begin_call(self, session: Session) -> None:
        """A new call in this place, at the server that it prefers of those that are there."""
        up = [server for server in self.servers if server.up]
        self._calls_made += 1
        name = placed(f"call-{self.plan.seed}-{self._calls_made}", [server.name for server in up])
        session.server = next(server for server in up if server.name == name)
        session.life += 1
        session.active, session.version, session.unwritten, session.freed = False, 0, False, self.now
        if self.now:
            session.server.station.serve(self.now, self._prices.begun)
            if len(up) < len(self.servers):
                self.begun[name] += 1
        self._at(self.now + self._random.uniform(0, self._calls.turn_seconds), self._begin_reply, session, session.life)

    def _begin_reply(self, session: Session, life: int) -> None:
        calls, draw = self._calls, self._random
        self._change(session, active=True)
        if draw.random() < calls.requests_per_turn:
            self._at(self.now + draw.uniform(0, calls.turn_seconds), self._ask, session, life)
        self._at(self.now + calls.reply_seconds * draw.uniform(0.5, 1.5), self._end_reply, session, life)

    def _end_reply(self, session: Session, life: int) -> None:
        calls, draw = self._calls, self._random
        self._change(session, active=False)
        session.freed = self.now
        for request in session.requests:
            if request.ready is None:
                request.ready = self.now
        if draw.random() < calls.turn_seconds / calls.length:
            self.ended += len(session.requests)
            session.requests.clear()
            self._begin_call(session)
        else:
            pause = (calls.turn_seconds - calls.reply_seconds) * draw.uniform(0.5, 1.5)
            self._at(self.now + pause, self._begin_reply, session, life)

    def _change(self, session: Session, *, active: bool) -> None:
        """The slot changes: publish the turn record."""
        session.active = active
        session.version += 1
        session.unwritten = session.unwritten or not session.server.up
        self._add(session.server.publishers[session.gateway], session)

    def _ask(self, session: Session, life: int) -> None:
        if session.life != life:
            return
        request = Request(session, life, self.now, None if session.active else self.now)
        session.requests.append(request)
        self.asked += 1
        self._add(session.server.publishers[session.gateway], request)
        self._at(self.now + self._rules.retransmit, self._look_after, request, self._rules.retransmit)

    def _look_after(self, request: Request, pause: float) -> None:
        """Publish a request again that nobody has answered, or that was not released although the slot was free."""
        session, rules = request.session, self._rules
        if request.executed or session.life != request.life:
            return
        free_for = -1.0 if session.active or request.ready is None else self.now - max(session.freed, request.ready)
        if not request.answered:
            pause = min(2 * pause, rules.retransmit_most)
            self._publish_again(request)
        elif free_for >= rules.patience:
            request.answered = False
            pause = rules.retransmit
            self._publish_again(request)
        self._at(self.now + pause, self._look_after, request, pause)

    def _publish_again(self, request: Request) -> None:
        publisher = request.session.server.publishers[request.session.gateway]
        if request not in publisher.queue:
            self.again += 1
            self._add(publisher, request)

    # Publishing

    def _add(self, publisher: Publisher, item: Session | Request) -> None:
        publisher.queue[item] = None
        if not publisher.busy:
            self._publish(publisher)

    def _publish(self, publisher: Publisher) -> None:
        """Publish the next batch, or pause if the server is away."""
        server, queue, prices = publisher.server, publisher.queue, self._prices
        if not queue:
            return
        publisher.busy = True
        if not server.up:
            pause, publisher.backoff = publisher.backoff, min(2 * publisher.backoff, self._rules.backoff_most)
            self._at(self.now + self._random.uniform(pause / 2, pause), self._try_again, publisher)
            return
        batch: list[Snapshot | Request] = []
        cost = 0.0
        while queue and len(batch) < self._rules.batch:
            item = next(iter(queue))
            del queue[item]
            session = item if isinstance(item, Session) else item.session
            if session.server is not server:
                continue
            if isinstance(item, Session):
                batch.append(Snapshot(item, item.life, item.version, item.active, item.unwritten))
                if item.unwritten:
                    item.unwritten = False
                    self.rewritten += 1
                    cost += prices.record_published + prices.whole
                else:
                    cost += prices.change_published
            elif not item.executed and session.life == item.life:
                item.published += 1
                batch.append(item)
                cost += prices.request_published
        self._at(server.station.serve(self.now, cost), self._published, publisher, batch, server.epoch)

    def _try_again(self, publisher: Publisher) -> None:
        publisher.busy = False
        self._publish(publisher)

    def _published(self, publisher: Publisher, batch: list[Snapshot | Request], epoch: int) -> None:
        server, prices = publisher.server, self._prices
        publisher.busy = False
        if server.epoch != epoch:
            for item in batch:
                session = item.session
                publisher.queue[session if isinstance(item, Snapshot) else item] = None
                session.unwritten = session.unwritten or session.server is server
        else:
            publisher.backoff = self._rules.backoff
            for item in batch:
                if isinstance(item, Snapshot):
                    cost = prices.record_observed if item.caught_up else prices.change_observed
                    self._at(self.session_states.serve(self.now, cost), self._observe, server, epoch, item)
                else:
                    session = item.session
                    record = Snapshot(session, session.life, session.version, session.active)
                    done = self.translators.serve(self.now, prices.translation)
                    self._at(done, self._reserve, server, epoch, item, record)
        self._publish(publisher)

    # session-state and translators

    def _observe(self, server: Server, epoch: int, record: Snapshot) -> None:
        """session-state has a record, and asks Redis to take it in."""
        if server.epoch != epoch:
            return
        cost = self._prices.record_taken if record.caught_up else self._prices.change_taken
        done = server.station.serve(self.now, cost)
        number = record.session.number
        if not self._takes_in(server, record) and number in server.held:
            self._at(done, self._release, server, epoch, server.held.pop(number))

    def _takes_in(self, server: Server, record: Snapshot) -> bool:
        """The newest record counts. Returns whether a reply runs."""
        number = record.session.number
        life, version, active = server.view.get(number, (0, 0, False))
        if (record.life, record.version) >= (life, version):
            server.view[number] = record.life, record.version, record.active
            if record.life > life:
                server.held.pop(number, None)
            return record.active
        return active

    def _reserve(self, server: Server, epoch: int, request: Request, record: Snapshot) -> None:
        if server.epoch == epoch:
            done = server.station.serve(self.now, self._prices.request_reserved)
            self._at(done, self._reserved, server, epoch, request, record)

    def _reserved(self, server: Server, epoch: int, request: Request, record: Snapshot) -> None:
        """Held while a reply runs, and otherwise granted, with everything that was held."""
        if server.epoch != epoch:
            return
        number = request.session.number
        request.answered = True
        if self._takes_in(server, record):
            self._hold(server, request)
            return
        before = server.held.pop(number, [])
        if not before or before == [request]:
            self._at(self._delivered(server, request.session), self._carry_out, server, epoch, [request])
        else:
            self._release(server, epoch, [*before, *([] if request in before else [request])])

    def _hold(self, server: Server, request: Request) -> None:
        number = request.session.number
        held = server.held.setdefault(number, [])
        if request not in held:
            held.append(request)
        server.look.append((self.now + self._rules.lease, number))

    def _release(self, server: Server, epoch: int, requests: list[Request]) -> None:
        """A release was granted: a translator merges it."""
        if server.epoch == epoch:
            done = self.translators.serve(self.now, self._prices.translation)
            self._at(done, self._command, server, epoch, requests)

    def _command(self, server: Server, epoch: int, requests: list[Request]) -> None:
        if server.epoch == epoch:
            done = server.station.serve(self.now, self._prices.released)
            at = max(done, self._delivered(server, requests[0].session))
            self._at(at, self._carry_out, server, epoch, requests)

    def _delivered(self, server: Server, session: Session) -> float:
        """When the session's gateway reads what is written for it now."""
        return max(self.now, server.reads_from[session.gateway])

    def _carry_out(self, server: Server, epoch: int, requests: list[Request]) -> None:
        """The gateway has a command: it sends it, unless a reply runs meanwhile (the fence)."""
        for request in requests:
            session = request.session
            if request.executed:
                self.repeated += 1
            elif session.life != request.life:
                continue
            elif session.active:
                if server.epoch == epoch:
                    self._hold(server, request)
            else:
                request.executed += 1
                self.executed += 1
                session.requests.remove(request)
                if server.up:
                    server.station.serve(self.now, self._prices.around)
                ready = request.asked if request.ready is None else request.ready
                self.waits.append((server.name, ready, self.now - ready))

    def _sweep(self, server: Server) -> None:
        """Look again at sessions in which something waits, at most a batch of them."""
        rules, prices = self._rules, self._prices
        seen = 0
        while server.up and server.look and server.look[0][0] <= self.now and seen < rules.sweep_batch:
            number = server.look.popleft()[1]
            if number not in server.held:
                continue
            seen += 1
            if server.view.get(number, (0, 0, False))[2]:
                server.look.append((self.now + rules.lease, number))
            else:
                self._release(server, server.epoch, server.held.pop(number))
        if seen:
            server.station.serve(self.now, seen * prices.revisit)
            self.session_states.serve(self.now, seen * prices.revisited)
        self._at(self.now + rules.sweep * self._random.uniform(0.8, 1), self._sweep, server)

    # The loss

    def _lose(self, server: Server) -> None:
        server.up = False
        server.epoch += 1
        if not self.plan.keeps_data:
            server.forget()

    def _return(self, server: Server) -> None:
        server.up = True
        server.epoch += 1
        server.station.restart(self.now)
        # A gateway notices that it can read again as late as that it can publish.
        longest = self._rules.backoff_most
        server.reads_from = [self.now + self._random.uniform(0, longest) for _ in server.reads_from]
        if not self.plan.keeps_data:
            for session in self.sessions:
                session.unwritten = session.unwritten or session.server is server

    def _note(self) -> None:
        for server in self.servers:
            self.backlog[server.name].append(sum(len(publisher.queue) for publisher in server.publishers))
        self._at(self.now + 1.0, self._note)

    def _server(self, name: str) -> Server:
        server = Server(name, Station(1))
        gateways = self.plan.gateways
        server.publishers = [Publisher(server, self._rules.backoff) for _ in range(gateways)]
        server.reads_from = [0.0] * gateways
        return server

    def _at(self, time: float, do: Callable[..., None], *arguments: Any) -> None:
        heappush(self._events, (time, next(self._order), do, arguments))
