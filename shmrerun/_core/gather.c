/* gather.c - see gather.h. Every length is copied out of the lane before it is checked, and used only as checked. */
#include "gather.h"

#include "layout.h"

#include <string.h>

static uint64_t pad8(uint64_t size) {
    return (size + 7u) & ~(uint64_t)7u;
}

uint32_t node_buffers(uint32_t kind) {
    static const uint8_t buffers[] = {0, 2, 2, 3, 2, 1, 1, 2, 0, 1};
    return kind >= NODE_FIXED && kind <= NODE_OPAQUE ? buffers[kind] : UINT32_MAX;
}

/* One node of one row, taken out of the record. */
struct piece {
    uint64_t length;
    uint64_t size[NODE_BUFFERS_LIMIT];
    const uint8_t *data[NODE_BUFFERS_LIMIT];
};

struct cursor {
    const struct row_parts *row;
    uint32_t part;
    uint64_t offset;
};

static bool next_piece(struct cursor *cursor, const struct node *node, struct piece *piece) {
    uint32_t buffers = node_buffers(node->kind);
    if (cursor->row->count - cursor->part < 1 + buffers) return false;
    const uint32_t *table = cursor->row->table + cursor->part;
    piece->length = table[0];
    for (uint32_t i = 0; i < buffers; i++) {
        piece->size[i] = table[1 + i];
        if (cursor->offset > cursor->row->size || piece->size[i] > cursor->row->size - cursor->offset) return false;
        piece->data[i] = cursor->row->data + cursor->offset;
        cursor->offset += pad8(piece->size[i]);
    }
    cursor->part += 1 + buffers;
    return true;
}

static bool has_validity_buffer(uint32_t kind) {
    return kind != NODE_UNION && kind != NODE_NULL && kind != NODE_OPAQUE;
}

/* Sizes of the piece's buffers against its length, as far as that needs no look at children or content. */
static bool sizes_agree(const struct node *node, const struct piece *piece) {
    uint64_t bits = (piece->length + 7) / 8;
    if (has_validity_buffer(node->kind) && piece->size[0] && piece->size[0] < bits) return false;
    switch (node->kind) {
    case NODE_FIXED:
        return piece->size[1] == piece->length * node->argument;
    case NODE_BOOL:
        return piece->size[1] >= bits;
    case NODE_VARBIN:
    case NODE_LIST:
        return piece->size[1] == 4 * (piece->length + 1);
    case NODE_UNION:
        return piece->size[0] == piece->length && piece->size[1] == 4 * piece->length;
    default:
        return true;
    }
}

static int32_t offset_at(const uint8_t *offsets, uint64_t index) {
    int32_t value;
    memcpy(&value, offsets + 4 * index, 4);
    return value;
}

static bool measure_node(const struct node *node, const struct piece *piece, struct node_total *total) {
    if (!sizes_agree(node, piece)) return false;
    if (has_validity_buffer(node->kind) && piece->size[0]) total->has_validity = true;
    total->length += piece->length;
    if (total->length > INT32_MAX) return false;
    switch (node->kind) {
    case NODE_FIXED:
        total->bytes[1] += piece->size[1];
        break;
    case NODE_BOOL:
        total->bytes[1] = (total->length + 7) / 8;
        break;
    case NODE_VARBIN:
        total->bytes[1] = 4 * (total->length + 1);
        total->bytes[2] += piece->size[2];
        if (total->bytes[2] > INT32_MAX) return false;
        break;
    case NODE_LIST:
        total->bytes[1] = 4 * (total->length + 1);
        break;
    case NODE_UNION:
        total->bytes[0] += piece->length;
        total->bytes[1] += 4 * piece->length;
        break;
    case NODE_OPAQUE:
        total->bytes[0] += piece->size[0];
        break;
    default:
        break;
    }
    if (has_validity_buffer(node->kind)) total->bytes[0] = total->has_validity ? (total->length + 7) / 8 : 0;
    return true;
}

bool gather_measure(const struct node *nodes, uint32_t count, const struct row_parts *row, struct node_total *totals, int32_t *roots) {
    struct cursor cursor = {row, 0, 0};
    for (uint32_t i = 0, root = 0; i < count; i++) {
        struct piece piece;
        if (!next_piece(&cursor, &nodes[i], &piece) || !measure_node(&nodes[i], &piece, &totals[i])) return false;
        if (nodes[i].root) roots[root++] = (int32_t)piece.length;
    }
    return cursor.part == row->count;
}

/* ---- filling ---- */

static void append_bits(uint8_t *out, uint64_t at, const uint8_t *bits, uint64_t count) { /* bits NULL: all set */
    for (uint64_t i = 0; i < count; i++, at++)
        if (!bits || bits[i / 8] >> (i % 8) & 1) out[at / 8] = (uint8_t)(out[at / 8] | 1u << (at % 8));
}

/* Copies offsets 1..length, moved by what came before; they must ascend from 0 to `limit`. */
static bool append_offsets(const struct piece *piece, struct node_total *total, uint64_t limit) {
    uint64_t length = piece->length;
    int32_t last = offset_at(piece->data[1], 0), base = (int32_t)total->done_bytes;
    if (last != 0 || total->done_bytes + limit > INT32_MAX || total->done + length > total->length) return false;
    uint8_t *out = total->out[1] + 4 * total->done;
    if (total->done == 0) memset(out, 0, 4);
    for (uint64_t i = 1; i <= length; i++) {
        int32_t value = offset_at(piece->data[1], i);
        if (value < last || (uint64_t)value > limit) return false;
        last = value;
        value += base;
        memcpy(out + 4 * i, &value, 4);
    }
    total->done_bytes += limit;
    return (uint64_t)last == limit;
}

static bool append_bytes(struct node_total *total, uint32_t buffer, uint64_t at, const uint8_t *data, uint64_t size) {
    if (at > total->bytes[buffer] || size > total->bytes[buffer] - at) return false;
    if (size) memcpy(total->out[buffer] + at, data, size);
    return true;
}

/* A union's children follow it; their lengths in this row are known only afterwards, so their totals' `base` is used. */
static bool append_union(const struct node *node, const struct piece *piece, struct node_total *total, struct node_total *const *child,
                         const uint64_t *child_length) {
    for (uint64_t i = 0; i < piece->length; i++) {
        uint8_t code = piece->data[0][i];
        int32_t offset = offset_at(piece->data[1], i);
        if (code >= node->argument || offset < 0 || (uint64_t)offset >= child_length[code]) return false;
        offset += (int32_t)child[code]->base;
        if (total->done + i >= total->length) return false;
        total->out[0][total->done + i] = code;
        memcpy(total->out[1] + 4 * (total->done + i), &offset, 4);
    }
    return true;
}

struct walk {
    const struct node *nodes;
    uint32_t count, at;
    struct node_total *totals;
    struct cursor cursor;
};

/* Fills the node at walk->at and its children. *length: what it came to, for the parent's checks. */
static bool fill_node(struct walk *walk, uint64_t *length, unsigned depth) {
    if (walk->at >= walk->count || depth > TYPE_DEPTH_LIMIT) return false;
    const struct node *node = &walk->nodes[walk->at];
    struct node_total *total = &walk->totals[walk->at++];
    struct piece piece;
    if (!next_piece(&walk->cursor, node, &piece) || !sizes_agree(node, &piece)) return false;
    if (piece.length > total->length - total->done) return false;
    *length = piece.length;
    total->base = total->done;
    if (has_validity_buffer(node->kind) && total->has_validity)
        append_bits(total->out[0], total->done, piece.size[0] ? piece.data[0] : NULL, piece.length);
    uint64_t child = 0;
    bool good = true;
    switch (node->kind) {
    case NODE_FIXED:
        good = append_bytes(total, 1, total->done * node->argument, piece.data[1], piece.size[1]);
        break;
    case NODE_BOOL:
        append_bits(total->out[1], total->done, piece.data[1], piece.length);
        break;
    case NODE_VARBIN:
        good = append_bytes(total, 2, total->done_bytes, piece.data[2], piece.size[2]) && append_offsets(&piece, total, piece.size[2]);
        break;
    case NODE_LIST:
        good = fill_node(walk, &child, depth + 1) && append_offsets(&piece, total, child);
        break;
    case NODE_FIXED_LIST:
        good = fill_node(walk, &child, depth + 1) && child == piece.length * node->argument;
        break;
    case NODE_STRUCT:
        for (uint32_t i = 0; i < node->argument && good; i++) good = fill_node(walk, &child, depth + 1) && child == piece.length;
        break;
    case NODE_UNION: {
        struct node_total *children[TYPE_ARMS_LIMIT];
        uint64_t lengths[TYPE_ARMS_LIMIT];
        if (node->argument > TYPE_ARMS_LIMIT) return false;
        for (uint32_t i = 0; i < node->argument && good; i++) {
            children[i] = &walk->totals[walk->at < walk->count ? walk->at : 0];
            good = fill_node(walk, &lengths[i], depth + 1);
        }
        good = good && append_union(node, &piece, total, children, lengths);
        break;
    }
    case NODE_OPAQUE:
        good = append_bytes(total, 0, total->done_bytes, piece.data[0], piece.size[0]);
        total->done_bytes += piece.size[0];
        break;
    default:
        break;
    }
    total->done += piece.length;
    return good;
}

bool gather_fill(const struct node *nodes, uint32_t count, const struct row_parts *row, struct node_total *totals) {
    struct walk walk = {nodes, count, 0, totals, {row, 0, 0}};
    uint64_t length;
    while (walk.at < count)
        if (!fill_node(&walk, &length, 0)) return false;
    return walk.cursor.part == row->count;
}
