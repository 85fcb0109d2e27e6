package inventory

import (
	"testing"

	"github.com/google/uuid"
)

func TestSeatIDsNameTheirShard(t *testing.T) {
	seen := map[uuid.UUID]bool{}
	for shard := range MaxShard + 1 {
		for range 4 {
			id, err := NewSeatID(shard)
			if err != nil || seen[id] || id.Version() != 7 || id.Variant() != uuid.RFC4122 || ShardOf(id) != shard {
				t.Fatalf("shard %d: %s of version %d names %d (%v)", shard, id, id.Version(), ShardOf(id), err)
			}
			seen[id] = true
		}
	}
	for _, shard := range []int{-1, MaxShard + 1} {
		if _, err := NewSeatID(shard); err == nil {
			t.Errorf("shard %d is accepted", shard)
		}
	}
}
