"""A stand-in for AWS that takes time, fails on demand, and runs a real PostgreSQL for each RDS instance."""
