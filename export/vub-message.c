/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Message: vhost-user's messages as they travel
 *
 * Owns: what each message must look like before its content is used.
 * Must not know: what messages do, sockets.
 * Threads: any.
 */

#include "vub-message.h"

#include <glib.h>
#include <unistd.h>

typedef struct MessageForm {
    const char *name;
    uint16_t min_bytes;
    uint16_t max_bytes;
    uint8_t min_fds;
    uint8_t max_fds;
} MessageForm;

#define FORM(request, bytes, fds) \
    [VUB_ ## request] = { #request, bytes, bytes, fds, fds }

#define INFLIGHT_MIN_BYTES 20   /* without the padding at its end */

static const MessageForm forms[] = {
    FORM(GET_FEATURES, 0, 0),
    FORM(SET_FEATURES, 8, 0),
    FORM(SET_OWNER, 0, 0),
    FORM(RESET_OWNER, 0, 0),
    [VUB_SET_MEM_TABLE] = { "SET_MEM_TABLE", 8, sizeof(VubMsgMemTable),
                            0, VUB_MESSAGE_MAX_FDS },
    FORM(SET_LOG_BASE, sizeof(VubMsgLog), 1),
    [VUB_SET_LOG_FD] = { "SET_LOG_FD", 0, 8, 0, 1 },
    FORM(SET_VRING_NUM, sizeof(struct vhost_vring_state), 0),
    FORM(SET_VRING_ADDR, sizeof(struct vhost_vring_addr), 0),
    FORM(SET_VRING_BASE, sizeof(struct vhost_vring_state), 0),
    FORM(GET_VRING_BASE, sizeof(struct vhost_vring_state), 0),
    [VUB_SET_VRING_KICK] = { "SET_VRING_KICK", 8, 8, 0, 1 },
    [VUB_SET_VRING_CALL] = { "SET_VRING_CALL", 8, 8, 0, 1 },
    [VUB_SET_VRING_ERR] = { "SET_VRING_ERR", 8, 8, 0, 1 },
    FORM(GET_PROTOCOL_FEATURES, 0, 0),
    FORM(SET_PROTOCOL_FEATURES, 8, 0),
    FORM(GET_QUEUE_NUM, 0, 0),
    FORM(SET_VRING_ENABLE, sizeof(struct vhost_vring_state), 0),
    [VUB_SET_BACKEND_REQ_FD] = { "SET_BACKEND_REQ_FD", 0, 8, 1, 1 },
    [VUB_GET_CONFIG] = { "GET_CONFIG", VUB_MSG_CONFIG_HEAD_BYTES,
                         sizeof(VubMsgConfig), 0, 0 },
    [VUB_SET_CONFIG] = { "SET_CONFIG", VUB_MSG_CONFIG_HEAD_BYTES,
                         sizeof(VubMsgConfig), 0, 0 },
    [VUB_GET_INFLIGHT_FD] = { "GET_INFLIGHT_FD", INFLIGHT_MIN_BYTES,
                              sizeof(VubMsgInflight), 0, 0 },
    [VUB_SET_INFLIGHT_FD] = { "SET_INFLIGHT_FD", INFLIGHT_MIN_BYTES,
                              sizeof(VubMsgInflight), 1, 1 },
    FORM(GET_MAX_MEM_SLOTS, 0, 0),
    FORM(ADD_MEM_REG, sizeof(VubMsgMemRegion), 1),
    /* Front-ends may send along the descriptor that was added. */
    [VUB_REM_MEM_REG] = { "REM_MEM_REG", sizeof(VubMsgMemRegion),
                          sizeof(VubMsgMemRegion), 0, 1 },
    FORM(SET_DEVICE_STATE_FD, sizeof(VubMsgTransfer), 1),
    FORM(CHECK_DEVICE_STATE, 0, 0),
};

static const MessageForm *form_of(uint32_t request)
{
    if (request >= G_N_ELEMENTS(forms) || !forms[request].name) {
        return NULL;
    }
    return &forms[request];
}

const char *vub_message_name(uint32_t request)
{
    const MessageForm *form = form_of(request);

    return form ? form->name : "an unknown request";
}

bool vub_message_is_known(uint32_t request)
{
    return form_of(request);
}

const char *vub_message_check(const VubMessage *msg)
{
    const MessageForm *form = form_of(msg->header.request);
    uint32_t bytes = msg->header.payload_bytes;

    if ((msg->header.flags & VUB_MSG_VERSION_MASK) != VUB_MSG_VERSION) {
        return "is of an unknown version";
    }
    if (msg->header.flags & VUB_MSG_REPLY) {
        return "is a reply to nothing";
    }
    if (!form) {
        return NULL;
    }
    if (bytes < form->min_bytes || bytes > form->max_bytes) {
        return "has a payload of the wrong size";
    }
    if (msg->nr_fds < form->min_fds || msg->nr_fds > form->max_fds) {
        return "has the wrong number of file descriptors";
    }
    return NULL;
}

void vub_message_close_fds(VubMessage *msg)
{
    for (unsigned i = 0; i < msg->nr_fds; i++) {
        if (msg->fds[i] >= 0) {
            close(msg->fds[i]);
            msg->fds[i] = -1;
        }
    }
    msg->nr_fds = 0;
}
