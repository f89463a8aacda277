"""What clients ask, in the upstream's terms. Stateless: any number of these may run, and any of them may die."""
