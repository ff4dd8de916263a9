"""What several components share over files and stores."""
