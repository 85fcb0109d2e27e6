module ticketremaster/proto

go 1.26.0
