/*  kv - keys and values of sequences in blocks of 16 positions: see forward.h and kernels.h
 *
 *  Position p of a sequence is in block p / 16, lane p % 16, whoever owns the block. A continuation
 *  of a shared prefix of P positions owns blocks from P / 16 on: the first of these holds the
 *  prefix' last P % 16 positions as well, copied, so that every block has one owner who may write
 *  to it. Attention then reads the prefix' whole blocks and the own ones as one row of blocks, in
 *  the order of positions and with the same sums as if all had been one sequence. A cut at P itself
 *  would move positions to other lanes, and the sums over lanes would have other bits.
 */
#include <assert.h>
#include <string.h>

#include "model/forward.h"

/*  Values lie in rows padded to whole registers. */
static size_t kv_value_stride (const model_t *model)
{
    return (model->config.head_dim + KERNELS_BLOCK - 1) / KERNELS_BLOCK * KERNELS_BLOCK;
}

size_t kv_floats (const model_t *model, size_t blocks)
{
    const model_config_t *c = &model->config;
    return c->layers * c->kv_heads * blocks * kernels_block_floats (c->head_dim);
}

/*  [layer][kv head][block]: attention walks over the blocks of one head. */
float *kv_head (const model_t *model, const kv_t *kv, size_t layer, size_t head)
{
    const model_config_t *c = &model->config;
    return kv->data +
           (layer * c->kv_heads + head) * kv->blocks * kernels_block_floats (c->head_dim);
}

/*  Keys are stored turned, [head_dim][16 positions]: the scores of sixteen keys are then chains
 *  over the dimensions, one lane per key. Values stay rows [16 positions][head_dim], as they are
 *  summed over positions. */
void kv_put (const model_t *model, kv_t *kv, size_t layer, size_t position, const float *k,
             const float *v)
{
    size_t dim = model->config.head_dim, lane = position % KERNELS_BLOCK;
    size_t block = position / KERNELS_BLOCK - kv->first;
    assert (block < kv->blocks); /* also when the position lies before the first block */
    for (size_t h = 0; h < model->config.kv_heads; h++, k += dim, v += dim) {
        float *keys = kv_head (model, kv, layer, h) + block * kernels_block_floats (dim);
        float *values = keys + KERNELS_BLOCK * dim + lane * kv_value_stride (model);
        for (size_t d = 0; d < dim; d++)
            keys[d * KERNELS_BLOCK + lane] = k[d];
        memcpy (values, v, dim * sizeof *v);
    }
}

/*  A key goes into head_dim different cache lines: prefetch them for writing. */
void kv_prefetch (const model_t *model, const kv_t *kv, size_t layer, size_t position)
{
    size_t dim = model->config.head_dim, block = position / KERNELS_BLOCK - kv->first;
    for (size_t h = 0; h < model->config.kv_heads; h++) {
        const float *keys = kv_head (model, kv, layer, h) + block * kernels_block_floats (dim);
        for (size_t d = 0; d < dim; d++)
            __builtin_prefetch (keys + d * KERNELS_BLOCK, 1);
    }
}

/*  Blocks of a head lie together, so a larger kv_t has them at other distances: copied head by
 *  head. */
void kv_copy (const model_t *model, const kv_t *from, kv_t *to, size_t first, size_t blocks)
{
    size_t floats = kernels_block_floats (model->config.head_dim);
    if (blocks == 0)
        return;
    assert (first >= from->first && first + blocks <= from->first + from->blocks);
    assert (first >= to->first && first + blocks <= to->first + to->blocks);
    for (size_t l = 0; l < model->config.layers; l++)
        for (size_t h = 0; h < model->config.kv_heads; h++)
            memcpy (kv_head (model, to, l, h) + (first - to->first) * floats,
                    kv_head (model, from, l, h) + (first - from->first) * floats,
                    blocks * floats * sizeof (float));
}

/*  Copies the block in which the prefix ends, for the continuation to write behind it. Positions
 *  beyond `length` may hold another continuation's; they are written before they are read. */
void kv_branch (const model_t *model, const kv_t *prefix, size_t length, kv_t *own)
{
    if (length > own->first * KERNELS_BLOCK) /* else the prefix ends with a whole block */
        kv_copy (model, prefix, own, own->first, 1);
}
