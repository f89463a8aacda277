/* The reservation protocol, small enough to look at every state of it. What it covers and what not: docs/model.md
 *
 * A client with two requests, the bits 1 and 2: a configuration and a response, or (-DRESPONSES) two responses. One gateway:
 * slot, ledger, outbox. Any number of translators. Session-state: the script `advance`, the observer of turn records, the sweeper. An
 * upstream that takes or refuses creates, and begins OWN responses by itself. Between the services, messages are lost, come
 * twice, late and in any order; the socket to the upstream keeps its order.
 *
 * Faults put back on purpose, each of which must be found: NO_FENCE, EARLY_END, ANSWER_ALL, OVERTAKE (safety); NO_LEASE,
 * NO_REPUBLISH, LOSE_REFUSED (liveness).
 */

#ifndef OWN
#define OWN 2 /* responses that the upstream begins by itself */
#endif
#ifndef FAULTS
#define FAULTS 2 /* in any mixture: a message lost (or its consumer dead), or twice, or late; a timer that ends too early */
#endif

#define ALL 3
#ifdef RESPONSES
#define CONFIGURATIONS 0
#else
#define CONFIGURATIONS 1
#endif
#define ANSWERS (ALL - CONFIGURATIONS)

mtype = { idle, promised, requested, running }; /* the slot; the last is the table's `active` */
mtype = { update, item, create };               /* gateway to upstream */
mtype = { updated, added, committed, ours, others, done, refused };

/* Between the services, a bit for each message that is under way, as they have no order: client events, what a translator has
 * begun to handle (it dies, or another is faster), items for the gateway, and releases by the requests that they grant. */
byte events, handling, adds, releases;
#define RELEASE(which) (1 << ((which) - 1)) /* 1, 2, 4 for the requests 1, 2, 3 */

/* The socket, both ways: with requests, and how many responses the sender had seen begin; with items known. */
chan to_upstream = [5] of { mtype, byte, byte };
chan from_upstream = [5] of { mtype, byte };

byte faults = FAULTS;

/* --- the gateway ---------------------------------------------------------------------------------------------------- */

mtype slot = idle;
byte version, published;    /* of the turn record */
byte accepted, open;        /* requests */
byte translated, early;     /* whose items were sent; whose translation waits for an earlier one */
byte acknowledged;          /* whose items are in the conversation */
byte way;                   /* part of an update or a create that is unresolved */
byte kept;                  /* the release that waits for items */
byte at_create, at_commit;  /* what a response surely knows: ours, the upstream's own */
byte seen;                  /* responses whose beginning was seen */
bool asked;                 /* a create has neither a response nor an error */

#define WAITING (open & ~way)
#define OVER (accepted == ALL && open == 0)
#define KNOWN (open & ANSWERS & translated & acknowledged)

inline send_item(which) {
  translated = translated | which; early = early & ~which;
  if :: (open & which & ANSWERS) -> to_upstream!item, which, seen :: else fi
}

inline in_order() { /* translations leave in the order of the requests; what is settled is skipped */
  if :: (early & 1) -> send_item(1) :: else fi;
  if :: (early & 2) && !(open & 1 & ~translated) -> send_item(2) :: else fi
}

inline decide() { /* a release that has its items is sent if the slot is free at this instant, else dropped */
  if :: kept && !(open & ~translated & (kept | (kept >> 1))) ->
        c = kept & CONFIGURATIONS & WAITING;
        r = kept & ANSWERS & WAITING;
#ifndef NO_FENCE
        if :: slot != idle -> c = 0; r = 0 :: else fi;
#endif
        if :: c -> assert(slot == idle); /* P1 */
                   way = way | c; to_upstream!update, c, seen; version++
           :: else fi;
        if :: r -> assert(slot == idle); /* P1 */
                   assert(!(CONFIGURATIONS & WAITING & (r >> 1))); /* P5 */
                   way = way | r; at_create = translated; asked = true; slot = requested;
                   to_upstream!create, r, seen; version++
           :: else fi;
        kept = 0; c = 0; r = 0
     :: else fi
}

inline one_of(set) { if :: (set) & 1 -> which = 1 :: (set) & 2 -> which = 2 :: (set) & 4 -> which = 4 fi }

/* Take a message: it is lost, or it is handled, and perhaps once more later. */
inline receive(set) {
  one_of(set);
  if :: faults > 0 -> faults--; set = set & ~which; which = 0
     :: faults > 0 -> faults--
     :: true -> set = set & ~which
  fi
}

proctype Commands() {
  byte c, r, which;
end:
  do :: atomic { adds -> receive(adds);
        early = early | (which & open & ~translated); in_order(); decide(); which = 0 }
     :: atomic { releases -> receive(releases);
        if :: which -> kept = (which == 4 -> 3 : which); decide() :: else fi; which = 0 }
  od
}

inline settle(which) {
  assert(!((which) & ANSWERS & ~what_it_knows)); /* P6: it is answered by a response that knows it */
  open = open & ~(which)
}

proctype Upstream_events() {
  mtype what; byte what_it_knows, c, r;
end:
  do :: atomic { from_upstream?what, what_it_knows ->
        if :: what == added -> acknowledged = acknowledged | what_it_knows
           :: what == updated -> settle(way & CONFIGURATIONS); way = way & ANSWERS; version++
           :: what == committed -> at_commit = KNOWN;
              if :: slot == idle -> slot = promised; version++ :: else fi
#ifdef ANSWER_ALL
           :: what == ours -> settle(KNOWN | (way & ANSWERS & open));
              way = way & CONFIGURATIONS; asked = false; slot = running; seen++; version++
           :: what == others -> settle(KNOWN); slot = running; seen++; version++
#else
           :: what == ours -> settle((KNOWN & at_create) | (way & ANSWERS & open));
              way = way & CONFIGURATIONS; asked = false; at_create = 0; slot = running; seen++; version++
           :: what == others -> settle(KNOWN & at_commit);
              at_commit = 0; slot = running; seen++; version++
#endif
           :: what == done -> slot = (asked -> requested : idle); version++
           :: what == refused -> asked = false; at_create = 0; version++;
#ifndef LOSE_REFUSED
              way = way & CONFIGURATIONS;
#endif
              if :: slot == requested -> slot = promised :: else fi
        fi;
        in_order(); decide();
        what = updated; what_it_knows = 0 }
  od
}

/* --- session-state --------------------------------------------------------------------------------------------------- */

byte s_version, s_open, s_way, s_accepted; /* the newest record */
bool s_idle;
byte held, granted;                        /* intents that wait; the outstanding release */

inline take(v, i, o, w, a) {
  if :: v > s_version -> s_version = v; s_idle = i; s_open = o; s_way = w; s_accepted = a :: else fi
}

inline advance(intent) { /* the script: one atomic step */
  held = held & ~(s_accepted & ~s_open);
  if :: (intent) && !((intent) & s_accepted & ~s_open) -> held = held | (intent) :: else fi;
  if :: granted && !(s_idle && (granted & s_open & ~s_way)) -> granted = 0 :: else fi;
  if :: s_idle && !granted ->
        granted = s_open & ~s_way & held;
#ifndef OVERTAKE
        /* Nothing passes what is still on its way to us. */
        if :: (s_open & ~s_way & 1) && !(held & 1) -> granted = 0 :: else fi;
#endif
        if :: granted -> releases = releases | RELEASE(granted) :: else fi
     :: else fi
}

bool observing;

proctype Observer() { /* what it reads may be old by the time it acts */
  byte v, o, w, a; bool i;
end:
  do :: atomic { published != version && !observing ->
        v = version; i = (slot == idle); o = open; w = way & CONFIGURATIONS; a = accepted;
        published = version; observing = true }
     :: atomic { observing ->
        if :: faults > 0 -> faults--; observing = false /* lost */
           :: faults > 0 -> faults--; take(v, i, o, w, a); advance(0) /* and once more later */
           :: true -> take(v, i, o, w, a); advance(0); observing = false
        fi;
        if :: !observing -> v = 0; i = 0; o = 0; w = 0; a = 0 :: else fi }
  od
}

/* --- the translators, any number: they have no state but what is under way -------------------------------------------- */

proctype Translators() {
  byte which;
end:
  do :: atomic { events -> receive(events); adds = adds | which; handling = handling | which; which = 0 }
     :: atomic { handling -> receive(handling);
        if :: which -> /* with the record that came with the event, unless that is older than what is known */
              if :: true -> take(version, (slot == idle), open, (way & CONFIGURATIONS), accepted)
                 :: faults > 0 -> faults-- /* late */
              fi;
              advance(which)
           :: else
        fi; which = 0 }
  od
}

/* --- the timers ------------------------------------------------------------------------------------------------------ */

/* One process for all of them, so that weak fairness gives each its turn. A timer is longer than a message takes through
 * the broker; one that is not counts as a fault. */
#define QUIET (!events && !handling && !adds && !releases && !observing)
#define TIMER_ENDS !OVER && (QUIET || faults > 0) -> faults = (QUIET -> faults : faults - 1)

#ifdef NO_REPUBLISH
#define DUE(which) (WAITING & which & ~once)
#else
#define DUE(which) ((WAITING & which) && (!(translated & which) || slot == idle))
#endif

proctype Timers() {
  byte once;
  do :: atomic { TIMER_ENDS; /* the ledger: publish what nobody answered for, or a free turn did not take */
        if :: DUE(1) -> events = events | 1; once = once | 1 :: else fi;
        if :: DUE(2) -> events = events | 2; once = once | 2 :: else fi };
     atomic { TIMER_ENDS; /* the sweeper: the lease is over */
#ifndef NO_LEASE
        granted = 0;
#endif
        advance(0) }
  od
}

/* --- the upstream ---------------------------------------------------------------------------------------------------- */

proctype Upstream() {
  byte items, known, own = OWN, which, sender_saw, number;
  bool busy, announced, is_ours;
#define KNOWINGLY (busy && announced && sender_saw >= number)
#define begin(our) busy = true; is_ours = our; number++; known = items
end:
  do :: atomic { to_upstream?item, which, _ -> items = items | which; from_upstream!added, which; which = 0 }
     :: atomic { to_upstream?update, which, sender_saw ->
        assert(!KNOWINGLY); /* P1, judged by the one who receives: its sender had seen the response that is active */
        from_upstream!updated, 0; which = 0; sender_saw = 0 }
     :: atomic { to_upstream?create, which, sender_saw ->
        assert(!KNOWINGLY); /* P1 */
        if :: busy -> from_upstream!refused, 0 :: else -> begin(true) fi; which = 0; sender_saw = 0 }
     :: atomic { !busy && own > 0 && !OVER -> own--; from_upstream!committed, 0; begin(false) } /* the user's turn ended */
     :: atomic { busy && !announced -> announced = true;
        if :: is_ours -> from_upstream!ours, known :: else -> from_upstream!others, known fi;
        known = 0
#ifdef EARLY_END
        ; from_upstream!done, 0 /* as if the end of the audio were the end of the response */
#endif
        }
     :: atomic { busy && announced -> busy = false; announced = false; is_ours = false
#ifndef EARLY_END
        ; from_upstream!done, 0
#endif
        }
  od
}

init {
  atomic {
    run Commands(); run Upstream_events(); run Observer(); run Translators(); run Timers(); run Upstream()
  };
  /* The client. */
  atomic { accepted = 1; open = 1; version++ };
  atomic { accepted = 3; open = open | 2; version++ }
}

ltl settled { <> (accepted == ALL && open == 0) }
