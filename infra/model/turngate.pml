/* The reservation protocol, small enough to look at every state of it. What it covers and what not: docs/model.md
 *
 * Two requests of a client, in the order of bits: a configuration and a response, or (-DRESPONSES) two responses. An upstream
 * that takes or refuses creates, and begins OWN responses of its own whenever it likes. Two translators, session-state (the
 * script `advance`, the observer of turn records, the sweeper), and one gateway. Everything between the services may be lost,
 * doubled and delayed; the socket to the upstream keeps its order.
 *
 * Faults put back on purpose, each of which must be found: -DNO_FENCE, -DNO_LEASE, -DNO_REPUBLISH, -DEARLY_END, -DNO_ACK,
 * -DLOSE_REFUSED, -DOVERTAKE.
 */

#ifndef OWN
#define OWN 2 /* responses that the upstream begins by itself */
#endif
#ifndef LOSSES
#define LOSSES 2 /* messages between the services that are lost */
#endif
#ifndef DOUBLES
#define DOUBLES 1 /* messages between the services that come twice, the second time late */
#endif
#ifndef EARLY
#define EARLY 1 /* timers that end although what they wait for is still under way */
#endif

#define ALL 3
#ifdef RESPONSES
#define CONFIGURATIONS 0
#else
#define CONFIGURATIONS 1 /* the first request */
#endif
#define ANSWERS (ALL - CONFIGURATIONS)

mtype = { idle, requested, promised, responding };             /* the slot; the last is the table's `active` */
mtype = { add, release };                                      /* commands to the gateway */
mtype = { update, item, create };                              /* gateway to upstream */
mtype = { updated, added, ours, other, done, refused };        /* upstream to gateway */

/* A turn record is four bytes: version, whether the slot is idle, open requests, configuration on its way. */
#define RECORD version, (slot == idle), open, (way & CONFIGURATIONS), accepted
#define record byte, bool, byte, byte, byte

chan events    = [3] of { byte, record };     /* client-events: a request */
chan turns     = [2] of { record };           /* turns */
chan releases  = [2] of { byte };             /* releases: the requests granted */
chan commands  = [3] of { mtype, byte };      /* gateway.<id>.commands */
chan to_up     = [5] of { mtype, byte, byte };/* with: requests; responses that the sender had seen begin */
chan from_up   = [5] of { mtype, byte };      /* with: items that the response knows, or the item */

byte losses = LOSSES, doubles = DOUBLES, early_ends = EARLY, busy_translators;

/* What became of a message that a consumer just took: handled, lost with its consumer, or handled and delivered again. */
#define LOST (losses > 0)
#define AGAIN(channel) (doubles > 0 && nfull(channel))

/* --- the gateway ---------------------------------------------------------------------------------------------------- */

mtype slot = idle;
byte version, published;
byte accepted, open, translated, early, acknowledged, way, kept;
byte seen;       /* responses whose beginning it has seen */
bool asked;      /* a create of its own has neither a response nor an error */

#define WAITING (open & ~way)

inline in_order() { /* translations leave in the order of requests; what is settled is skipped */
  if :: (early & 1) -> translated = translated | 1; early = early & 2;
        if :: (open & 1 & ANSWERS) -> to_up!item, 1, seen :: else fi
     :: else fi;
  if :: (early & 2) && (!(open & 1) || (translated & 1)) -> translated = translated | 2; early = 0;
        if :: (open & 2) -> to_up!item, 2, seen :: else fi
     :: else fi
}

inline decide() { /* a release is sent if the slot is free at this instant, else dropped */
  if :: kept && !(kept & 1 & open & ~translated) && (!(kept & 2) || !(ALL & accepted & open & ~translated)) ->
        c = kept & CONFIGURATIONS & WAITING;
        r = kept & ANSWERS & WAITING;
        if :: c && (way & CONFIGURATIONS) -> c = 0; r = 0 :: else fi;
#ifndef NO_FENCE
        if :: slot != idle -> c = 0; r = 0 :: else fi;
#endif
        if :: c -> assert(slot == idle); /* P1 */
                   way = way | c; to_up!update, c, seen; version++
           :: else fi;
        if :: r -> assert(slot == idle); /* P1 */
                   assert(!(CONFIGURATIONS & open & ~way)); /* P5 */
                   way = way | r; asked = true; slot = requested; to_up!create, r, seen; version++
           :: else fi;
        kept = 0; c = 0; r = 0
     :: else fi
}

proctype Commands() {
  mtype what; byte mask, c, r;
end:
  do :: atomic { commands?what, mask ->
        if :: LOST -> losses--
           :: true -> if :: AGAIN(commands) -> doubles--; commands!what, mask :: true fi;
              if :: what == add ->
                    if :: (open & mask & ~translated) -> early = early | mask :: else fi; in_order()
                 :: what == release -> kept = mask
              fi;
              decide()
        fi; what = add; mask = 0 }
  od
}

inline settle(which) { open = open & ~(which) }

proctype Upstream_events() {
  mtype what; byte mask, known, c, r;
#ifdef NO_ACK
#define KNOWN (open & ANSWERS & translated)
#else
#define KNOWN (open & ANSWERS & translated & acknowledged)
#endif
end:
  do :: atomic { from_up?what, mask ->
        if :: what == added -> acknowledged = acknowledged | mask
           :: what == updated -> settle(way & CONFIGURATIONS); way = way & ANSWERS
           :: what == ours -> known = KNOWN | (way & ANSWERS & open);
              assert(!(known & ~mask)); /* P6: it answers what it knows */
              settle(known); way = way & CONFIGURATIONS; asked = false; slot = responding; seen++
           :: what == other -> known = KNOWN;
              assert(!(known & ~mask)); /* P6 */
              settle(known); slot = responding; seen++
           :: what == done -> slot = (asked -> requested : idle)
           :: what == refused -> asked = false;
#ifdef LOSE_REFUSED
              settle(way & ANSWERS & acknowledged & 0);
#else
              way = way & CONFIGURATIONS;
#endif
              if :: slot == requested -> slot = promised :: else fi
        fi;
        if :: what != added -> version++ :: else fi;
        in_order(); decide();
        what = updated; mask = 0; known = 0 }
  od
}

proctype Publisher() {
end:
  do :: atomic { published != version && nfull(turns) -> turns!RECORD; published = version } od
}

/* --- session-state -------------------------------------------------------------------------------------------------- */

byte s_version, s_open, s_way, s_last, held, granted;
bool s_idle;

inline take(v, i, o, w, l) {
  if :: v > s_version -> s_version = v; s_idle = i; s_open = o; s_way = w; s_last = l :: else fi
}

inline advance(mask, g) { /* one atomic step */
  held = held & ~(s_last & ~s_open);
  if :: mask && !(mask & s_last & ~s_open) -> held = held | mask :: else fi;
  if :: granted && !(s_idle && (granted & s_open & ~s_way)) -> granted = 0 :: else fi;
  g = 0;
  if :: s_idle && !granted ->
#ifdef OVERTAKE
        g = s_open & ~s_way & held;
#else
        if :: (s_open & ~s_way & 1) && !(held & 1) -> skip /* nothing passes what is still on its way to us */
           :: else -> g = s_open & ~s_way & held
        fi;
#endif
        granted = g
     :: else fi
}

proctype Observer() {
  byte v, o, w, l, g; bool i;
end:
  do :: atomic { turns?v, i, o, w, l ->
        if :: LOST -> losses--
           :: true -> if :: AGAIN(turns) -> doubles--; turns!v, i, o, w, l :: true fi;
              take(v, i, o, w, l); advance(0, g);
              if :: g -> releases!g; g = 0 :: else fi
        fi; v = 0; i = 0; o = 0; w = 0; l = 0 }
  od
}

/* --- the timers ----------------------------------------------------------------------------------------------------- */

/* One process for all of them, so that weak fairness gives each its turn. A timer is longer than a message takes through
 * the broker, except for early_ends of them. */
#define QUIET (len(events) + len(turns) + len(releases) + len(commands) + busy_translators == 0)
#define wait_for_timer if :: QUIET :: !QUIET && early_ends > 0 -> early_ends-- fi

inline publish(mask) { /* a request that nobody answered for, or that a free turn did not take; the record goes with it */
  if :: (WAITING & mask) && (!(translated & mask) || slot == idle) && nfull(events)
#ifdef NO_REPUBLISH
        && !(once & mask)
#endif
        -> events!mask, RECORD; once = once | mask
     :: else fi
}

proctype Timers() {
  byte g, once;
end:
  do :: atomic { wait_for_timer; publish(1); publish(2) };
     atomic { wait_for_timer; /* the sweeper: the lease has ended */
#ifndef NO_LEASE
        granted = 0;
#endif
        advance(0, g);
        if :: g && nfull(releases) -> releases!g :: else fi; g = 0 }
  od
}

/* --- the translators ------------------------------------------------------------------------------------------------ */

proctype Translator() {
  byte mask, v, o, w, l, g; bool i;
end:
  do :: atomic { events?mask, v, i, o, w, l ->
        if :: LOST -> losses--
           :: true -> if :: AGAIN(events) -> doubles--; events!mask, v, i, o, w, l :: true fi;
              commands!add, mask; take(v, i, o, w, l); advance(mask, g)
        fi;
        mask = 0; v = 0; i = 0; o = 0; w = 0; l = 0;
        if :: g -> busy_translators++ :: else -> goto end fi };
     atomic { commands!release, g; g = 0; busy_translators-- } /* another one may have come first */
  od
}

proctype Releaser() { /* the translators' other consumer */
  byte g;
end:
  do :: atomic { releases?g ->
        if :: LOST -> losses--
           :: true -> if :: AGAIN(releases) -> doubles--; releases!g :: true fi; commands!release, g
        fi; g = 0 }
  od
}

/* --- the upstream ---------------------------------------------------------------------------------------------------- */

proctype Upstream() {
  byte items, known, own = OWN, mask, sender_saw, number;
  bool busy, announced, is_ours;
end:
  do :: atomic { to_up?item, mask, _ -> items = items | mask; from_up!added, mask; mask = 0 }
     :: atomic { to_up?update, mask, sender_saw ->
        /* P1, judged by the one who receives: the sender knew of the response that is active. */
        assert(!(busy && announced && sender_saw >= number));
        from_up!updated, mask; mask = 0; sender_saw = 0 }
     :: atomic { to_up?create, mask, sender_saw ->
        assert(!(busy && announced && sender_saw >= number)); /* P1 */
        if :: busy -> from_up!refused, 0
           :: else -> busy = true; is_ours = true; number++; known = items
        fi; mask = 0; sender_saw = 0 }
     :: atomic { !busy && own > 0 -> own--; busy = true; is_ours = false; number++; known = items }
     :: atomic { busy && !announced -> announced = true;
        if :: is_ours -> from_up!ours, known :: else -> from_up!other, known fi
#ifdef EARLY_END
        ; from_up!done, 0 /* as a gateway that takes the end of the audio for the end of the response */
#endif
        }
     :: atomic { busy && announced -> busy = false; announced = false;
#ifndef EARLY_END
        from_up!done, 0
#endif
        }
  od
}

init {
  atomic {
    run Commands(); run Upstream_events(); run Publisher(); run Timers();
    run Translator(); run Translator(); run Releaser(); run Observer(); run Upstream()
  };
  /* The client. */
  atomic { accepted = 1; open = 1; version++ };
  atomic { accepted = 3; open = open | 2; version++ }
}

ltl settled { <> (accepted == ALL && open == 0) }
