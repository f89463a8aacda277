/* A model of the ownership of one session, small enough to search all of its states. docs/model.md lists what it covers.
 *
 * A client with one session, which connects to any of three gateways, COMES times, whether or not the connection before is known
 * to be lost. Redis: owners.lua, each operation one step. The gateways: claims, the journal writer, and what they do when another
 * gateway has claimed the session. Messages between gateways can be lost or late; a gateway can be killed or cut off from Redis;
 * Redis can be emptied. What the client has said is counted: `said` is what some gateway has accepted.
 *
 * Faults that can be injected, each of which must be detected: NO_FENCE, NO_EPOCH, FENCED_ADDS_NOTHING, NOTHING_TO_ADD,
 * UNASKED_COMPLETE, HANDED_OVER_EARLY, NO_SECOND_CLAIM (safety); NEVER_TOLD (liveness).
 */

#ifndef COMES
#define COMES 3 /* connections of the client, besides the first */
#endif
#ifndef FAULTS
#define FAULTS 1 /* number of faults: a message lost, a gateway killed or cut off, Redis emptied */
#endif
#ifndef SAYS
#define SAYS 2 /* what the client says */
#endif

#define GATEWAYS 3
#define NOBODY GATEWAYS

byte faults = FAULTS;

/* --- Redis: what owners.lua keeps. `written` is how much of what was said is in the journal. -------------------------------- */

bool known = true;
byte epoch, owner, written;
bool last;        /* the owner has let go of the session */
byte awaits;      /* 1 + the epoch that may still complete the journal; 0 if there is none */
bool emptied;     /* Redis has lost everything at some time */

/* --- the gateways ----------------------------------------------------------------------------------------------------------- */

bool runs[GATEWAYS];      /* it runs the session; at first the gateway 0 does */
byte term[GATEWAYS];        /* with this epoch */
byte knows[GATEWAYS];     /* what was said */
byte left[GATEWAYS];      /* 1 + the epoch with which it handed the session over: its last entry is on its way, or was refused */
bool giving[GATEWAYS];    /* that entry is on its way, */
byte given[GATEWAYS];     /* with this, and the epoch left - 1, */
bool letting[GATEWAYS];   /* and was not asked for: the gateway goes away */
byte claims[GATEWAYS];    /* 1 + the epoch of the claim whose journal it waits for */
bool completed[GATEWAYS]; /* it was told that the journal is complete */
byte tries[GATEWAYS];     /* claims for this connection */
bool cut[GATEWAYS];       /* it does not reach Redis */
bool dead[GATEWAYS];      /* it was killed; another one of its name has none of its sessions, and hears none of its messages */

/* Messages on their way: 1 + their epoch. One at a time; an earlier one that is replaced counts as late. */
byte claimed[GATEWAYS], complete[GATEWAYS];
bool late;

/* --- the client ------------------------------------------------------------------------------------------------------------- */

byte at = 0, comes = COMES;
byte said;           /* what gateways have accepted from it, and what is not known to be lost */
bool served = true;  /* its connection has a session */
bool anew;           /* that is a new one */

#define CLAIMS (claims[0] + claims[1] + claims[2])
#define INTACT (!emptied && !late && faults == FAULTS)

inline tell_complete() {
  if :: owner != NOBODY -> complete[owner] = epoch + 1 :: else fi
}

/* The gateway that was the owner completes the journal with its last entry. */
inline give(g) {
  giving[g] = false;
  if :: known && awaits == left[g] -> written = given[g]; awaits = 0; tell_complete()
     :: else
  fi
}

/* Stop the session here, with a last entry. */
inline stop(g) {
  runs[g] = false; left[g] = term[g] + 1; given[g] = knows[g]; giving[g] = true
}

inline claim(g) {
  if :: !known ->
        /* A new session, which is another one: what was said before is gone. */
        assert(!INTACT);
        anew = true; served = true; claims[g] = 0; tries[g] = 0
     :: else ->
        if :: !last ->
              if :: awaits == 0 -> awaits = epoch + 1 :: else fi;
#ifndef NEVER_TOLD
              late = late || claimed[owner];
              claimed[owner] = epoch + 2
#endif
           :: else
        fi;
        completed[g] = last && awaits == 0;
        last = false;
#ifndef NO_EPOCH
        epoch++;
#endif
        owner = g; claims[g] = epoch + 1; tries[g]++; complete[g] = (complete[g] == epoch + 1 -> complete[g] : 0)
  fi
}

/* The claim's journal is read. The wait may end at any time, but not before a message that is on its way. */
inline take_up(g) {
  if :: known && epoch + 1 == claims[g] ->
        awaits = 0; claims[g] = 0; tries[g] = 0;
        /* What the owner before knew is not lost, if this gateway was told that nothing is. */
        assert(!completed[g] || emptied || written == said);
        said = written; /* the client is told: `recovered` */
        knows[g] = written; term[g] = epoch; runs[g] = true; dead[g] = false;
        if :: at == g -> served = true :: else fi
     :: else ->
        claims[g] = 0;
        if
#ifndef NO_SECOND_CLAIM
           :: at == g && tries[g] < 2 -> claim(g)
#endif
           :: else ->
              tries[g] = 0;
              /* A client that came last, and is there, is not sent away by one that is gone. */
              if :: at == g -> assert(!INTACT); anew = true; served = true :: else fi
        fi
  fi
}

active [GATEWAYS] proctype gateway() {
  byte g = _pid, e;
end:
  do
  /* The client says something. What it says to a gateway that is cut off, and was the owner before, may be lost. */
  :: atomic { runs[g] && at == g && served && !anew && said < SAYS && knows[g] == said && (term[g] == epoch || !known) ->
       knows[g]++; said = knows[g] }

  /* The journal writer. */
  :: atomic { runs[g] && !cut[g] && (!known || epoch != term[g] || written != knows[g] || owner != g) ->
       if
#ifndef NO_FENCE
       :: known && epoch > term[g] ->
#ifdef FENCED_ADDS_NOTHING
          runs[g] = false
#else
          stop(g)
#endif
#endif
       :: else ->
          /* An owner of an older epoch writes nothing, as long as Redis knows the newer one. */
          assert(emptied || epoch <= term[g]);
          if :: !known -> known = true; awaits = 0 :: else fi;
          epoch = term[g]; owner = g; written = knows[g]; last = false;
          awaits = 0
       fi }

  /* Another gateway has claimed the session. */
  :: atomic { claimed[g] && !cut[g] ->
       e = claimed[g] - 1; claimed[g] = 0;
       if :: runs[g] && term[g] < e ->
#ifdef NOTHING_TO_ADD
             runs[g] = false;
             if :: known && awaits == e -> awaits = 0; tell_complete() :: else fi
#else
             stop(g)
#endif
          :: !runs[g] && left[g] != e && !dead[g] ->
             /* It is not known here, and there is nothing to add. */
             if :: known && awaits == e -> awaits = 0; tell_complete() :: else fi
          :: else
       fi }

  /* The last entry arrives in Redis: it was asked for, or the gateway goes away. */
  :: atomic { giving[g] && !letting[g] && !cut[g] -> give(g) }
  :: atomic { giving[g] && letting[g] && !cut[g] ->
       letting[g] = false;
       if :: known && epoch + 1 > left[g] -> give(g)
          :: else ->
             giving[g] = false;
             known = true; epoch = left[g] - 1; owner = g; written = given[g]; last = true; awaits = 0
       fi }
  :: atomic { runs[g] && !giving[g] && !cut[g] && comes > 0 ->
#ifdef HANDED_OVER_EARLY
       /* It lets go before the entry is written. */
       if :: known && epoch == term[g] -> last = true :: else fi;
#endif
       stop(g); letting[g] = true; if :: at == g -> served = false; at = NOBODY :: else fi }

  /* The journal of a claim. */
  :: atomic { claims[g] && complete[g] == claims[g] -> complete[g] = 0; completed[g] = true }
  :: atomic { claims[g] && !cut[g] && (completed[g] || !INTACT || epoch + 1 != claims[g]) && complete[g] != claims[g] -> take_up(g) }
#ifdef UNASKED_COMPLETE
  :: atomic { claims[g] && !completed[g] && !cut[g] -> completed[g] = true }
#endif

  /* A client that is gone is not waited for for ever. */
  :: atomic { runs[g] && at != g && CLAIMS == 0 && comes == 0 && served -> runs[g] = false }
  od
}

/* It connects to another gateway, or again to the same one, which may not know yet that its connection was lost. */
active proctype client() {
  byte to;
  runs[0] = true;
  do
  :: atomic { comes > 0 && !anew ->
       comes--; select(to : 0 .. GATEWAYS - 1); at = to; served = false;
       if :: runs[to] && !(known && !cut[to] && epoch > term[to]) -> served = true
          :: else ->
             if :: runs[to] -> stop(to) :: else fi;
             if :: claims[to] == 0 && !cut[to] -> tries[to] = 0; claim(to)
                :: claims[to] != 0 -> tries[to] = 1
                :: else -> assert(!INTACT); anew = true; served = true
             fi
       fi }
  :: served && (comes == 0 || anew) -> break
  od
}

active proctype weather() {
  byte g;
end_calm:
  runs[0];
end:
  do
  :: atomic { faults > 0 ->
       faults--;
       if :: true ->
             select(g : 0 .. GATEWAYS - 1);
             if :: claimed[g] -> claimed[g] = 0
                :: complete[g] -> complete[g] = 0
                :: runs[g] && comes > 0 ->
                   runs[g] = false; dead[g] = true;
                   if :: at == g -> at = NOBODY; served = false :: else fi
                :: !cut[g] -> cut[g] = true
                :: else
             fi
          :: known -> known = false; emptied = true; awaits = 0; last = false
       fi }
  :: atomic { cut[0] || cut[1] || cut[2] -> cut[0] = false; cut[1] = false; cut[2] = false }
  od
}

