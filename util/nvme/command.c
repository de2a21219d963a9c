/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * command: what an NVMe drive is told
 *
 * Owns: where the fields of commands are.
 * Must not know: queues, buffers, what a drive can do.
 * Threads: any; no state.
 */
#include <assert.h>
#include <string.h>

#include "util/nvme/command.h"
#include "util/nvme/identify.h"
#include "util/raid/le-bytes.h"

#define RW_FUA              (1u << 30)
#define ZEROES_DEALLOCATE   (1u << 25)
#define DATASET_DEALLOCATE  (1u << 2)
#define DISCARD_RANGES_MAX  256

static NvCommand on_blocks(uint8_t opcode, uint32_t nsid, uint64_t lba,
                           uint32_t blocks, uint32_t flags)
{
    assert(blocks >= 1 && blocks <= NV_COMMAND_MAX_BLOCKS);
    return (NvCommand) {
        .opcode = opcode,
        .nsid = nsid,
        .cdw10 = lba,
        .cdw11 = lba >> 32,
        .cdw12 = (blocks - 1) | flags,
    };
}

NvCommand nv_read(uint32_t nsid, uint64_t lba, uint32_t blocks)
{
    return on_blocks(NV_OP_READ, nsid, lba, blocks, 0);
}

NvCommand nv_write(uint32_t nsid, uint64_t lba, uint32_t blocks, bool fua)
{
    return on_blocks(NV_OP_WRITE, nsid, lba, blocks, fua ? RW_FUA : 0);
}

NvCommand nv_write_zeroes(uint32_t nsid, uint64_t lba, uint32_t blocks,
                          bool deallocate, bool fua)
{
    return on_blocks(NV_OP_WRITE_ZEROES, nsid, lba, blocks,
                     (fua ? RW_FUA : 0) |
                     (deallocate ? ZEROES_DEALLOCATE : 0));
}

NvCommand nv_flush(uint32_t nsid)
{
    return (NvCommand) { .opcode = NV_OP_FLUSH, .nsid = nsid };
}

NvCommand nv_discard(uint32_t nsid, unsigned ranges)
{
    assert(ranges >= 1 && ranges <= DISCARD_RANGES_MAX);
    return (NvCommand) {
        .opcode = NV_OP_DATASET,
        .nsid = nsid,
        .cdw10 = ranges - 1,
        .cdw11 = DATASET_DEALLOCATE,
    };
}

void nv_discard_range(uint8_t range[NV_DISCARD_RANGE_BYTES], uint64_t lba,
                      uint32_t blocks)
{
    le_put_u32(range, 0, 0);
    le_put_u32(range, 4, blocks);
    le_put_u64(range, 8, lba);
}

NvCommand nv_identify_command(uint32_t nsid, uint8_t cns)
{
    return (NvCommand) {
        .opcode = NV_ADMIN_IDENTIFY, .nsid = nsid, .cdw10 = cns,
    };
}

void nv_command_encode(const NvCommand *command, uint16_t cid, uint64_t prp1,
                       uint64_t prp2, uint8_t out[NV_COMMAND_BYTES])
{
    memset(out, 0, NV_COMMAND_BYTES);
    out[0] = command->opcode;
    le_put_u16(out, 2, cid);
    le_put_u32(out, 4, command->nsid);
    le_put_u64(out, 24, prp1);
    le_put_u64(out, 32, prp2);
    le_put_u32(out, 40, command->cdw10);
    le_put_u32(out, 44, command->cdw11);
    le_put_u32(out, 48, command->cdw12);
    le_put_u32(out, 52, command->cdw13);
    le_put_u32(out, 56, command->cdw14);
    le_put_u32(out, 60, command->cdw15);
}
