/*  parse - the JSON of a model folder, as other tools write it.
 *
 *      json_t *root = parse_json (text, size, "config.json", &err);
 *      int64_t layers;
 *      if (parse_whole (json_object_get (root, "num_hidden_layers"), &layers)) ...
 *      json_decref (root);
 *
 *  Python writes whole numbers of any length: tokenizer_config.json of most models holds
 *  "model_max_length": 1000000000000000019884624838656. So all numbers are read as reals, and
 *  whole ones are told apart here.
 */
#ifndef QUINTET_TEXT_PARSE_H
#define QUINTET_TEXT_PARSE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/*  An object (the caller's to json_decref), or NULL: the error gives the name and the line. A key
 *  that stands twice is an error. */
json_t *parse_json (const char *text, size_t size, const char *name, err_t *err);

/*  Whether a file is a pointer of Git LFS: three lines that stand for a file which was not fetched.
 *  The message for it goes behind the file's name. */
bool parse_is_pointer (const char *data, size_t size);
#define PARSE_POINTER                                                                              \
    "is a pointer of Git LFS and not the file itself; fetch it with 'git lfs pull' in its folder"

/*  Whether a file begins with the byte order mark that some editors put before UTF-8. The message
 *  for it goes behind the file's name. */
bool parse_has_mark (const char *data, size_t size);
#define PARSE_MARK                                                                                 \
    "begins with a byte order mark (the bytes EF BB BF), which JSON does not have; save it as "    \
    "UTF-8 "                                                                                       \
    "without one, or take it away with: sed -i '1s/^\\xEF\\xBB\\xBF//' FILE"

/*  Whether value is a whole number that a double holds exactly (up to 2^53); fills *whole then. */
bool parse_whole (const json_t *value, int64_t *whole);

/*  Whether a name ends like that. */
bool parse_ends_with (const char *name, const char *end);

#endif
