package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/google/uuid"

	"ticketremaster/platform/money"
	"ticketremaster/platform/web"
	user "ticketremaster/user-service"
)

func (p *parts) createAdmin(ctx context.Context, email, phone string) error {
	email, err := user.ParseEmail(email)
	if err != nil {
		return err
	}
	if phone, err = user.ParsePhone(phone); err != nil {
		return err
	}
	password := os.Getenv("ADMIN_PASSWORD")
	if password == "" {
		line, _ := bufio.NewReader(os.Stdin).ReadString('\n') // nothing there: refused below
		password = strings.TrimRight(line, "\r\n")
	}
	if err := user.CheckPassword("ADMIN_PASSWORD", password); err != nil {
		return err
	}
	id, made, err := p.accounts.CreateAdmin(ctx, email, phone, password)
	if err != nil {
		return err
	}
	what := "existed; it is an administrator now and keeps its password"
	if made {
		what = "was made an administrator"
	}
	fmt.Printf("%s %s %s\n", id, email, what)
	return nil
}

func (p *parts) grant(ctx context.Context, email, amount, operation string) error {
	id, err := web.UUID("OPERATION", operation)
	if err != nil {
		return err
	}
	cents, err := money.Parse(amount)
	if err != nil || cents <= 0 {
		return fmt.Errorf("AMOUNT must be above zero with at most two decimals")
	}
	c, err := p.store.Credentials(ctx, uuid.Nil, strings.ToLower(email))
	if err != nil {
		return err
	}
	if err := p.store.Grant(ctx, id, c.ID, cents); err != nil {
		return err
	}
	balance, err := p.store.Balance(ctx, c.ID)
	if err == nil {
		fmt.Printf("%s has %s\n", c.Email, balance)
	}
	return err
}
