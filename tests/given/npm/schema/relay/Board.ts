import { graphql } from 'relay-runtime';

export const board = graphql`
  query BoardQuery($moment: DateTime, $count: Int = 20, $cursor: String) {
    ...Board_items @arguments(moment: $moment, count: $count, cursor: $cursor)
  }
`;

export const items = graphql`
  fragment Board_items on Query
  @refetchable(queryName: "BoardPageQuery")
  @argumentDefinitions(
    moment: { type: "DateTime" }
    count: { type: "Int", defaultValue: 20 }
    cursor: { type: "String" }
  ) {
    items(first: $count, after: $cursor, asOf: { time: $moment }) @connection(key: "Board_items") {
      edges {
        node {
          id
          ...Board_item
        }
      }
    }
  }
`;

export const item = graphql`
  fragment Board_item on Item @refetchable(queryName: "BoardItemQuery") {
    id
    title
    votes {
      net
    }
  }
`;
