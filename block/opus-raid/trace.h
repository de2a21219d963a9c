#include "trace/trace-block_opus_raid.h"
