package clients

import "github.com/google/uuid"

// ID reads an id in a message of the inventory service, where "" stands for none: uuid.Nil.
func ID(s string) uuid.UUID {
	id, err := uuid.Parse(s)
	if err != nil {
		return uuid.Nil
	}
	return id
}
