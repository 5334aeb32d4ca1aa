/*  writing - what the writing family and its scorer share. Private to task.
 *
 *      writing_subjects[i]        nouns of the built-in briefs
 */
#ifndef QUINTET_TASK_WRITING_H
#define QUINTET_TASK_WRITING_H

#define WRITING_SUBJECTS 12
#define WRITING_ANGLES   12

extern const char *const writing_subjects[WRITING_SUBJECTS];

#endif
