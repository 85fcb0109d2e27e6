package main

const webhookSecret = "whsec_test_secret"
