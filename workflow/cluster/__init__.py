"""What running on a Slurm cluster needs besides the profile: the site, checks, and patience."""
