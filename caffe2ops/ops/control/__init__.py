"""Control: operators that run nets, choose, fail, or only say in what order a net runs."""
