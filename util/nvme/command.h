/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * command: what an NVMe drive is told
 *
 * Only what a block driver sends. Who hands commands to a kernel takes the
 * fields; who has a submission queue of his own has them put into its form.
 *
 * Pure; any thread.
 */
#ifndef UTIL_NVME_COMMAND_H
#define UTIL_NVME_COMMAND_H

#include <stdbool.h>
#include <stdint.h>

#define NV_COMMAND_BYTES        64
#define NV_DISCARD_RANGE_BYTES  16

/* Opcodes of I/O queues */
#define NV_OP_FLUSH             0x00
#define NV_OP_WRITE             0x01
#define NV_OP_READ              0x02
#define NV_OP_WRITE_ZEROES      0x08
#define NV_OP_DATASET           0x09

/* and of the admin queue */
#define NV_ADMIN_IDENTIFY       0x06

typedef struct NvCommand {
    uint8_t opcode;
    uint32_t nsid;
    uint32_t cdw10;
    uint32_t cdw11;
    uint32_t cdw12;
    uint32_t cdw13;
    uint32_t cdw14;
    uint32_t cdw15;
} NvCommand;

/* @blocks is from 1 to NV_COMMAND_MAX_BLOCKS. */
NvCommand nv_read(uint32_t nsid, uint64_t lba, uint32_t blocks);
NvCommand nv_write(uint32_t nsid, uint64_t lba, uint32_t blocks, bool fua);
NvCommand nv_write_zeroes(uint32_t nsid, uint64_t lba, uint32_t blocks,
                          bool deallocate, bool fua);
NvCommand nv_flush(uint32_t nsid);

/* Deallocate; its data are @ranges times what nv_discard_range() makes. */
NvCommand nv_discard(uint32_t nsid, unsigned ranges);
void nv_discard_range(uint8_t range[NV_DISCARD_RANGE_BYTES], uint64_t lba,
                      uint32_t blocks);

/* Its data are NV_IDENTIFY_BYTES; @cns is one of NV_CNS_... */
NvCommand nv_identify_command(uint32_t nsid, uint8_t cns);

/* As it lies in a submission queue. */
void nv_command_encode(const NvCommand *command, uint16_t cid, uint64_t prp1,
                       uint64_t prp2, uint8_t out[NV_COMMAND_BYTES]);

#endif /* UTIL_NVME_COMMAND_H */
