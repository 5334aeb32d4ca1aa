/*  generate - the writing family's built-in sets: briefs about places, openings of stories, topics
 *  of prose. */
#include <stdio.h>
#include <string.h>

#include "task/writing/writing.h"

#define WRITING_SUBJECTS 12
#define WRITING_ANGLES   12

static const char *const writing_subjects[WRITING_SUBJECTS] = {
    "harbor", "garden",  "market", "museum", "bridge", "library",
    "valley", "station", "castle", "forest", "river",  "theater"};
static const char *const writing_angles[WRITING_ANGLES] = {
    "at dawn", "in winter", "after rain",  "by night",   "in summer", "in autumn",
    "at noon", "in spring", "before dusk", "during fog", "in storms", "at midnight"};

static const char *const writing_heroes[] = {"Lily", "Tom", "Mia",  "Ben",
                                             "Sue",  "Max", "Anna", "Sam"};
static const char *const writing_things[] = {"ball", "dog", "cake", "tree", "boat", "hat"};
static const char *const writing_kinds[] = {"little", "happy", "brave"};

#define WRITING_HEROES (sizeof writing_heroes / sizeof *writing_heroes)
#define WRITING_THINGS (sizeof writing_things / sizeof *writing_things)
#define WRITING_KINDS  (sizeof writing_kinds / sizeof *writing_kinds)

bool writing_is_story (const char *style)
{
    return strcmp (style, "story") == 0;
}

bool writing_is_prose (const char *style)
{
    return strcmp (style, "prose") == 0;
}

/*  As many as there are combinations, so that no two of the tasks are the same. */
size_t writing_builtin (const char *style)
{
    if (writing_is_prose (style))
        return writing_topics ();
    return writing_is_story (style) ? WRITING_HEROES * WRITING_THINGS * WRITING_KINDS
                                    : WRITING_SUBJECTS * WRITING_ANGLES;
}

/*  The opening is complete sentences: a story model goes on from it. */
static json_t *writing_generate_story (size_t i)
{
    const char *hero = writing_heroes[i % WRITING_HEROES],
               *thing = writing_things[i / WRITING_HEROES % WRITING_THINGS];
    const char *kind = writing_kinds[i / WRITING_HEROES / WRITING_THINGS % WRITING_KINDS];
    char id[64], brief[160];
    snprintf (id, sizeof id, "story/%zu", i);
    snprintf (brief, sizeof brief, "Once upon a time, there was a %s child named %s. %s had a %s.",
              kind, hero, hero, thing);
    return json_pack ("{s:s, s:s, s:s, s:[s,s]}", "id", id, "family", "writing", "brief", brief,
                      "terms", hero, thing);
}

/*  The terms are the words of the brief that both parts have to take up. */
json_t *writing_generate (const task_options_t *options, size_t i)
{
    if (writing_is_story (options->style))
        return writing_generate_story (i);
    if (writing_is_prose (options->style))
        return writing_topic (i);
    const char *subject = writing_subjects[i % WRITING_SUBJECTS];
    const char *angle = writing_angles[i / WRITING_SUBJECTS % WRITING_ANGLES];
    char id[64], brief[160];
    snprintf (id, sizeof id, "writing/%zu", i);
    snprintf (brief, sizeof brief, "Write about the %s %s.", subject, angle);
    return json_pack ("{s:s, s:s, s:s, s:[s,s]}", "id", id, "family", "writing", "brief", brief,
                      "terms", subject, strchr (angle, ' ') + 1);
}
