"""The soak that scripts/soak runs: users, faults and kills at random for some minutes, and then every byte is compared."""
