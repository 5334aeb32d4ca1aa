/*  style - see style.h */
#include "style.h"

#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

/*  For the process, since it has one stdout. */
static bool style_on;

bool style_terminal (FILE *file)
{
    const char *term = getenv ("TERM");
    return isatty (fileno (file)) && term && *term && strcmp (term, "dumb") != 0;
}

size_t style_columns (FILE *file)
{
    struct winsize size;
    return ioctl (fileno (file), TIOCGWINSZ, &size) == 0 ? size.ws_col : 0;
}

void style_choose (bool terminal, bool refused)
{
    const char *none = getenv ("NO_COLOR");
    style_on = terminal && !refused && !(none && *none);
}

const char *style (style_t style)
{
    /* The sixteen colours of any terminal, so that its own theme decides how they look. */
    static const char *const codes[] = {
        [STYLE_NONE] = "\x1b[0m",  [STYLE_GOOD] = "\x1b[32m", [STYLE_BAD] = "\x1b[31m",
        [STYLE_NOTE] = "\x1b[33m", [STYLE_HEAD] = "\x1b[1m",  [STYLE_FAINT] = "\x1b[2m"};
    return style_on ? codes[style] : "";
}
