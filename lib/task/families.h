/*  families - the one list of task families.
 *
 *      #define EACH(name) puts (#name);
 *      TASK_FAMILIES (EACH)
 *
 *  A family is a folder, lib/task/NAME/, that defines `const family_t family_NAME`, and its line
 *  here: the configuration's choices and checks, and every dispatch, come from this list and from
 *  that struct.
 */
#ifndef QUINTET_TASK_FAMILIES_H
#define QUINTET_TASK_FAMILIES_H

#define TASK_FAMILIES(F)                                                                           \
    F (article)                                                                                    \
    F (coding)                                                                                     \
    F (external)                                                                                   \
    F (module)                                                                                     \
    F (writing)

/*  Their names as one literal, "|article|coding|external|module|writing"; what the configuration
 *  offers begins after the first bar. */
#define TASK_FAMILY_BAR(name) "|" #name
#define TASK_FAMILY_CHOICES   (TASK_FAMILIES (TASK_FAMILY_BAR) + 1)

#endif
