package inventory

import (
	"fmt"

	"github.com/google/uuid"
)

// MaxShard is the greatest number that a seat's id can name.
const MaxShard = 1<<10 - 1

// NewSeatID returns a UUIDv7 whose ten bits behind the variant name the shard that the seat's event is kept in
// (docs/adr/shards.md). There is one shard, 0, until there are more.
func NewSeatID(shard int) (uuid.UUID, error) {
	if shard < 0 || shard > MaxShard {
		return uuid.Nil, fmt.Errorf("shard %d is not from 0 to %d", shard, MaxShard)
	}
	id, err := uuid.NewV7()
	id[8] = id[8]&0xc0 | byte(shard>>4)
	id[9] = id[9]&0x0f | byte(shard<<4)
	return id, err
}

// ShardOf returns the shard that a seat's id names. Ids that were made before NewSeatID name any.
func ShardOf(seat uuid.UUID) int { return int(seat[8]&0x3f)<<4 | int(seat[9]>>4) }
