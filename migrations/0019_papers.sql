-- The comment named a paper that was kept outside of the repository.
COMMENT ON FUNCTION request_is_whole() IS
    'docs/field.md#edges-and-domains: what a request must carry, checked when the statement that stores it ends';
