/*
 * The acknowledgement protocol of Driftline: one outbox, one log, and a broker that keeps no promise between them.
 *
 * docs/protocol.md explains the rules. tests/protocol/test_formal.py checks this file with Spin, as it stands and with
 * each of the mutations WITHOUT_... below, which take one rule away and must be refuted. By hand, in a minute or two:
 *
 *   spin -a -DFAULTS=2 acknowledgements.pml && gcc -O2 -DNFAIR=3 -o pan pan.c && ./pan -a -f -m200000
 *
 * Safety (assertions):   nothing is deleted from the outbox, or skipped by the log, that was never committed;
 *                        nothing is in the log twice.
 * Progress (drained):    faults are finitely many; some time after the last one everything answered is committed,
 *                        acknowledged and deleted, and stays so.
 */

#ifndef EVENTS
#define EVENTS 3
#endif
#ifndef FAULTS
#define FAULTS 2
#endif
#define SEGMENT 2           /* events in a segment of the outbox */
#define WINDOW 2            /* batches that the broker holds at most; a batch is one event here */
#define LAST ((EVENTS - 1) / SEGMENT * SEGMENT)     /* where the segment begins that is appended to, which stays */
#define NOBODY 255

/* The outbox, on disk. */
byte answered;              /* events appended and answered; the next one gets this seq */
byte oldest;                /* the first seq that is still held */

/* The relay, in memory. */
byte acked;
byte sent;

/* The broker: it may forget all of it. */
chan stream = [WINDOW] of { byte, byte };   /* seq, and the oldest seq held when it was sent */
byte published[FAULTS + 1];                 /* by life of the worker; 0 is no entry */
byte announced = NOBODY;                    /* the life that speaks for the log */

/* The log, on disk: lines, and the record of how many of them are committed. */
bool line[EVENTS];
byte committed;
byte ever;                  /* the most that was ever committed: not known to anybody, only to the assertions */
byte life;                  /* of the worker; never used again */
byte serving = NOBODY;      /* the life that has recovered the log */

byte faults = FAULTS;       /* how many may still happen */

#ifdef WITHOUT_LIFE
#define KEY(of) 0
#else
#define KEY(of) of
#endif

inline publish() {
    /* A producer that the log has never heard of has no number to publish. */
    if
    :: committed > 0 -> published[KEY(life)] = committed
    :: else
    fi
}

inline forget_stream() {
    do
    :: nempty(stream) -> stream ? _, _
    :: empty(stream) -> break
    od
}

/* What a start, and every error, does first. */
inline recover() {
#ifndef WITHOUT_CUT
    atomic {
        cut = committed;
        do
        :: cut < EVENTS -> line[cut] = false; cut++
        :: else -> break
        od;
        cut = 0
    }
#endif
    skip
}

active proctype Api() {
    do
    :: answered < EVENTS -> answered++
    :: else -> break
    od
}

active proctype Relay() {
    byte got, before;
    do
    :: atomic {
           announced != NOBODY -> got = published[KEY(announced)]; before = acked
       };
       /* Here it may be frozen for as long as one likes: what it has got grows old. */
       atomic {
#ifdef WITHOUT_LATEST
           acked = (got > acked -> got : acked);
#else
           acked = got;
#endif
           do
#ifdef WITHOUT_WHOLE_SEGMENTS
           :: oldest < acked && oldest + SEGMENT < answered ->
#else
           :: oldest + SEGMENT <= acked && oldest + SEGMENT < answered ->
#endif
               assert(oldest + SEGMENT <= ever);
               oldest = oldest + SEGMENT
           :: else -> break
           od;
           got = 0
       };
       atomic {
           /* No progress: take back what was sent, and begin again from what is acknowledged. */
#ifndef WITHOUT_RESEND
           if
           :: sent > acked && acked <= before ->
               forget_stream();
               sent = acked
           :: !(sent > acked && acked <= before)
           fi;
#endif
           before = 0;
           sent = (sent < acked -> acked : sent);
           sent = (sent < oldest -> oldest : sent);
           if
           :: sent < answered && nfull(stream) -> stream ! sent, oldest; sent++
           :: sent >= answered || full(stream)
           fi
       }
    od
}

active proctype Worker() {
    byte seq, held, cut;
    byte me;                        /* the life that this process is in; a fault begins another */
    bool progress;
start:
    atomic { me = life; recover() };
    if
    :: atomic { me == life -> publish(); serving = me }
    :: me != life -> goto start
    fi;
    do
    :: me != life -> goto start
    :: atomic {
           me == life && nempty(stream) -> stream ? seq, held;
           progress = false;
           if
           :: held > committed ->   /* no outbox has it any more: go on from what there is */
               assert(held <= ever);
               committed = held;
               progress = true
           :: else
           fi;
           if
#ifdef WITHOUT_SEEN
           :: seq <= committed ->
#else
           :: seq == committed ->
#endif
               assert(!line[seq]);
               line[seq] = true;
               progress = true
           :: else -> seq = NOBODY  /* seen, or behind a gap: the resend will bring it */
           fi
       };
       /* The lines are synced, the transaction is not committed yet. */
       if
       :: atomic {
              me == life ->
              if
              :: seq != NOBODY && seq + 1 > committed -> committed = seq + 1
              :: else
              fi;
              ever = (committed > ever -> committed : ever);
              seq = 0; held = 0
          }
       :: me != life -> goto start
       fi;
       atomic {
#ifdef WITHOUT_REPEATED_PUBLISHING
           if
           :: me == life && progress -> publish()
           :: else
           fi
#else
           if
           :: me == life -> publish()
           :: else
           fi
#endif
           ; progress = false
       }
    od
}

/* Once a second the worker says who speaks for the log, and again what the broker has forgotten. */
active proctype Beat() {
    do
    :: atomic { serving == life && announced != life -> announced = life }
    :: atomic { serving == life && committed > 0 && published[KEY(life)] == 0 -> publish() }
    od
}

/* Whatever can go wrong, and at most FAULTS times. */
active proctype Faults() {
    byte seq, held, n;
    do
    :: atomic { faults > 0 -> faults-- };
       if
       :: atomic { stream ? [seq, held] -> stream ? _, _ }                              /* lost */
       :: atomic { nempty(stream) && nfull(stream) -> stream ? <seq, held>; stream ! seq, held }  /* twice */
       :: atomic { nempty(stream) -> stream ? seq, held; stream ! seq, held }           /* out of order */
       :: atomic {                                                                      /* late */
              nempty(stream) -> stream ? seq, held
          };
          atomic { nfull(stream) -> stream ! seq, held }
       :: atomic {                                                                      /* the broker is wiped */
              forget_stream();
              do
              :: n <= FAULTS -> published[n] = 0; n++
              :: else -> break
              od;
              announced = NOBODY; n = 0
          }
       :: atomic { announced != NOBODY && published[KEY(announced)] > 0 -> published[KEY(announced)]-- }  /* goes back */
       :: atomic { acked = 0; sent = 0 }                                    /* the relay dies; another adopts its outbox */
       :: atomic { life++ }                                                 /* the worker dies */
       :: atomic {                                                          /* the log is restored from a backup */
              committed > 0 -> life++;
              do
              :: committed > 0 -> committed--
              :: break
              od
          }
       :: skip
       fi;
       atomic { seq = 0; held = 0 }
    :: break
    od
}

ltl drained { <> [] (committed == EVENTS && acked == EVENTS && oldest == LAST) }
