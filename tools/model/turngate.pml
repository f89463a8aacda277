/* A model of the reservation protocol, small enough to search all of its states. docs/model.md lists what it covers.
 *
 * A client with two requests, the bits 1 and 2: a configuration and a response, or (-DRESPONSES) two responses. One gateway:
 * the slot, the open requests, and the release gate. Any number of translators. Session-state: the script `advance`, the
 * consumer of turn records, and the sweeper. An upstream that accepts or refuses creates, and starts OWN automatic responses.
 * Messages between the services can be lost, duplicated, late and reordered; the socket to the upstream preserves order.
 *
 * Faults that can be injected, each of which must be detected: NO_FENCE, EARLY_END, ANSWER_ALL, OVERTAKE (safety); NO_LEASE,
 * NO_REPUBLISH, LOSE_REFUSED (liveness).
 */

#ifndef OWN
#define OWN 2 /* number of automatic responses of the upstream */
#endif
#ifndef FAULTS
#define FAULTS 2 /* number of faults: a message lost (or its consumer dead), duplicated or late; a timer that expires early */
#endif

#define ALL 3
#ifdef RESPONSES
#define CONFIGURATIONS 0
#else
#define CONFIGURATIONS 1
#endif
#define ANSWERS (ALL - CONFIGURATIONS)

mtype = { idle, promised, requested, running }; /* the slot; `running` is the slot `active` */
mtype = { update, item, create };               /* gateway to upstream */
mtype = { updated, added, committed, ours, others, done, refused };

/* Messages in flight between the services, one bit for each, since they are unordered: client events, client events that a
 * translator is handling (it may die, or another may be faster), items for the gateway, and releases by granted requests. */
byte events, handling, adds, releases;
#define RELEASE(which) (1 << ((which) - 1)) /* 1, 2, 4 for the requests 1, 2, 3 */

/* The socket in both directions. To the upstream: with the requests, and the number of responses that the sender had seen
 * start. From the upstream: with the items that a response includes. */
chan to_upstream = [5] of { mtype, byte, byte };
chan from_upstream = [5] of { mtype, byte };

byte faults = FAULTS;

/* --- the gateway ---------------------------------------------------------------------------------------------------- */

mtype slot = idle;
byte version, published;    /* of the turn record */
byte accepted, open;        /* requests */
byte translated, early;     /* requests whose items were sent; whose translation waits for an earlier one */
byte acknowledged;          /* requests whose items are in the conversation */
byte way;                   /* requests in flight: in an update or a create that is unresolved */
byte kept;                  /* the release that waits for items */
byte at_create, at_commit;  /* requests that a response certainly includes: our own response, an automatic one */
byte seen;                  /* number of responses whose start was seen */
bool asked;                 /* a create has neither a response nor an error */

#define WAITING (open & ~way)
#define OVER (accepted == ALL && open == 0)
#define KNOWN (open & ANSWERS & translated & acknowledged)

inline send_item(which) {
  translated = translated | which; early = early & ~which;
  if :: (open & which & ANSWERS) -> to_upstream!item, which, seen :: else fi
}

inline in_order() { /* send translations in the order of the requests, skipping settled ones */
  if :: (early & 1) -> send_item(1) :: else fi;
  if :: (early & 2) && !(open & 1 & ~translated) -> send_item(2) :: else fi
}

inline decide() { /* when its items have been sent, send a release if the slot is free now, or else drop it */
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

/* Receive a message: it is lost, handled, or handled and delivered again later. */
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
  assert(!((which) & ANSWERS & ~what_it_knows)); /* P6: the response that settles a request includes its items */
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
byte held, granted;                        /* held intents; the outstanding release */

inline take(v, i, o, w, a) {
  if :: v > s_version -> s_version = v; s_idle = i; s_open = o; s_way = w; s_accepted = a :: else fi
}

inline advance(intent) { /* the script advance.lua, one atomic step */
  held = held & ~(s_accepted & ~s_open);
  if :: (intent) && !((intent) & s_accepted & ~s_open) -> held = held | (intent) :: else fi;
  if :: granted && !(s_idle && (granted & s_open & ~s_way)) -> granted = 0 :: else fi;
  if :: s_idle && !granted ->
        granted = s_open & ~s_way & held;
#ifndef OVERTAKE
        /* No intent overtakes an earlier one that has not arrived. */
        if :: (s_open & ~s_way & 1) && !(held & 1) -> granted = 0 :: else fi;
#endif
        if :: granted -> releases = releases | RELEASE(granted) :: else fi
     :: else fi
}

bool observing;

proctype Observer() { /* the record may be outdated when it is applied */
  byte v, o, w, a; bool i;
end:
  do :: atomic { published != version && !observing ->
        v = version; i = (slot == idle); o = open; w = way & CONFIGURATIONS; a = accepted;
        published = version; observing = true }
     :: atomic { observing ->
        if :: faults > 0 -> faults--; observing = false /* lost */
           :: faults > 0 -> faults--; take(v, i, o, w, a); advance(0) /* delivered again later */
           :: true -> take(v, i, o, w, a); advance(0); observing = false
        fi;
        if :: !observing -> v = 0; i = 0; o = 0; w = 0; a = 0 :: else fi }
  od
}

/* --- the translators, any number: their only state is what is in flight ------------------------------------------------ */

proctype Translators() {
  byte which;
end:
  do :: atomic { events -> receive(events); adds = adds | which; handling = handling | which; which = 0 }
     :: atomic { handling -> receive(handling);
        if :: which -> /* with the record in the event, unless it is older than the stored one */
              if :: true -> take(version, (slot == idle), open, (way & CONFIGURATIONS), accepted)
                 :: faults > 0 -> faults-- /* late */
              fi;
              advance(which)
           :: else
        fi; which = 0 }
  od
}

/* --- the timers ------------------------------------------------------------------------------------------------------ */

/* One process for all timers, so that weak fairness applies to each. A timer is longer than the delivery of a message; one
 * that expires earlier counts as a fault. */
#define QUIET (!events && !handling && !adds && !releases && !observing)
#define TIMER_ENDS !OVER && (QUIET || faults > 0) -> faults = (QUIET -> faults : faults - 1)

#ifdef NO_REPUBLISH
#define DUE(which) (WAITING & which & ~once)
#else
#define DUE(which) ((WAITING & which) && (!(translated & which) || slot == idle))
#endif

proctype Timers() {
  byte once;
  do :: atomic { TIMER_ENDS; /* the gateway publishes again what was not translated, or not granted in a free slot */
        if :: DUE(1) -> events = events | 1; once = once | 1 :: else fi;
        if :: DUE(2) -> events = events | 2; once = once | 2 :: else fi };
     atomic { TIMER_ENDS; /* the sweeper: the lease has expired */
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
        assert(!KNOWINGLY); /* P1 at the receiver: the sender had not seen the start of the active response */
        from_upstream!updated, 0; which = 0; sender_saw = 0 }
     :: atomic { to_upstream?create, which, sender_saw ->
        assert(!KNOWINGLY); /* P1 */
        if :: busy -> from_upstream!refused, 0 :: else -> begin(true) fi; which = 0; sender_saw = 0 }
     :: atomic { !busy && own > 0 && !OVER -> own--; from_upstream!committed, 0; begin(false) } /* the user's turn ended */
     :: atomic { busy && !announced -> announced = true;
        if :: is_ours -> from_upstream!ours, known :: else -> from_upstream!others, known fi;
        known = 0
#ifdef EARLY_END
        ; from_upstream!done, 0 /* treats the end of the audio as the end of the response */
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
