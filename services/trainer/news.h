/*  news - the events of a run: what the trainer tells on the bus.
 *
 *      news_state (trainer, "saving");
 *      news_note (trainer, "all %zu groups ...", n);      what people should know at once
 *      news_metrics (trainer, WIRE_STEP_DONE, WIRE_TRAIN);     the metrics of the line just written
 *
 *  Events are hints for whoever watches; nothing of a run depends on their arrival.
 */
#ifndef QUINTET_TRAINER_NEWS_H
#define QUINTET_TRAINER_NEWS_H

#include "trainer.h"

/*  What the run is doing: a word, or "waiting: WHY". */
void news_state (trainer_t *trainer, const char *text);
/*  What runs: configuration, model, roles, seed, steps. */
void news_run (trainer_t *trainer);
/*  WIRE_RUN_FAILED or WIRE_RUN_STOPPED; the first one is told. */
void news_end (trainer_t *trainer, wire_event_kind_t kind, const char *why);
void news_opened (trainer_t *trainer, wire_phase_t phase, uint64_t step, const round_t *round);
void news_published (trainer_t *trainer);
void news_metrics (trainer_t *trainer, wire_event_kind_t kind, wire_phase_t phase);
void news_episode (trainer_t *trainer, wire_phase_t phase, const char *text);
void news_note (trainer_t *trainer, const char *fmt, ...) __attribute__ ((format (printf, 2, 3)));

#endif
