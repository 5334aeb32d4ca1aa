/*  folder - what a trainer's folder holds.
 *
 *      if (folder_holds_run ("runs/coding")) step = folder_step ("runs/coding");
 */
#ifndef QUINTET_CLI_FOLDER_H
#define QUINTET_CLI_FOLDER_H

#include <stdbool.h>
#include <stddef.h>

/*  Whether anything was measured there. */
bool folder_holds_run (const char *dir);
/*  The step of the newest checkpoint, 0: none. Checkpoints appear whole. */
size_t folder_step (const char *dir);

#endif
