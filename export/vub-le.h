/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Access to fields that the guest shares with us
 *
 * Virtio's fields are little endian, and the other side may change them at any
 * moment: each access here happens exactly once, as the compiler is told, so
 * that what was checked is what is used. Ordering is named by the function.
 */

#ifndef OPUS_VUB_LE_H
#define OPUS_VUB_LE_H

#include <glib.h>
#include <linux/types.h>

/* linux/types.h's __virtioNN and __leNN are plain __uNN to the compiler. */
static inline uint16_t vub_le16_load(const __u16 *field)
{
    return GUINT16_FROM_LE(__atomic_load_n(field, __ATOMIC_RELAXED));
}

static inline uint32_t vub_le32_load(const __u32 *field)
{
    return GUINT32_FROM_LE(__atomic_load_n(field, __ATOMIC_RELAXED));
}

/* Headers don't agree whether __le64 is long or long long. */
typedef uint64_t __attribute__((may_alias)) VubLe64;

static inline uint64_t vub_le64_load(const void *field)
{
    return GUINT64_FROM_LE(__atomic_load_n((const VubLe64 *)field,
                                           __ATOMIC_RELAXED));
}

/* What the other side wrote before it wrote @field is seen after this. */
static inline uint16_t vub_le16_load_acquire(const __u16 *field)
{
    return GUINT16_FROM_LE(__atomic_load_n(field, __ATOMIC_ACQUIRE));
}

static inline void vub_le16_store(__u16 *field, uint16_t value)
{
    __atomic_store_n(field, GUINT16_TO_LE(value), __ATOMIC_RELAXED);
}

static inline void vub_le32_store(__u32 *field, uint32_t value)
{
    __atomic_store_n(field, GUINT32_TO_LE(value), __ATOMIC_RELAXED);
}

/* A reader that sees @value sees what we wrote before, too. */
static inline void vub_le16_store_release(__u16 *field, uint16_t value)
{
    __atomic_store_n(field, GUINT16_TO_LE(value), __ATOMIC_RELEASE);
}

/* Between a store of ours and a load of what the other side stores. */
static inline void vub_full_barrier(void)
{
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
}

#endif /* OPUS_VUB_LE_H */
