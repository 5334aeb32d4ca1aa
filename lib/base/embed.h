/*  embed - a file of the source tree as bytes of the program.
 *
 *      EMBED (store_functions, "lib/store/functions.lua")
 *      static void print (void) { fwrite (store_functions, 1, store_functions_size (), stdout); }
 *
 *  The path starts at the top of the repository. A 0 follows the last byte, so a text is a string.
 */
#ifndef QUINTET_BASE_EMBED_H
#define QUINTET_BASE_EMBED_H

#include <stddef.h>

#define EMBED(name, path)                                                                          \
    __asm__(".pushsection .rodata, \"a\"\n" #name ":\n.incbin \"" path "\"\n" #name                \
            "_end:\n.byte 0\n.popsection\n");                                                      \
    extern const char name[] __attribute__ ((visibility ("hidden")));                              \
    extern const char name##_end[] __attribute__ ((visibility ("hidden")));                        \
    static inline size_t name##_size (void)                                                        \
    {                                                                                              \
        return (size_t) (name##_end - name);                                                       \
    }

#endif
